package signature

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/jsonschema-go/jsonschema"
)

// Spec is a signature scheme as data: which bytes are signed, with what, and where signature, time and id are found.
// Its zero fields mean HMAC-SHA256 of the raw body, as hex, with the secret's text as key.
type Spec struct {
	// Algorithm makes the signature. Default: [SHA256].
	Algorithm Algorithm `json:"algorithm,omitempty" yaml:"algorithm,omitempty"`
	// Header carries the signature. Required.
	Header string `json:"header" yaml:"header"`
	// Prefix stands before the signature ("sha256=") and is required there.
	Prefix string `json:"prefix,omitempty" yaml:"prefix,omitempty"`
	// Encoding is how signature bytes become text. Default: [Hex].
	Encoding Encoding `json:"encoding,omitempty" yaml:"encoding,omitempty"`
	// List is how several signatures share the header. Default: there is one, and nothing else.
	List List `json:"list,omitempty" yaml:"list,omitempty"`
	// Separator stands between the entries of a list. Default: "," in [Pairs], " " in [Versions].
	Separator string `json:"separator,omitempty" yaml:"separator,omitempty"`
	// Version names the entries of a list that are signatures of this scheme ("v1"); others are passed over.
	Version string `json:"version,omitempty" yaml:"version,omitempty"`
	// Template is what is signed: text around {body}, which is required, {timestamp}, {id} and {url}. Default: {body}.
	Template string `json:"template,omitempty" yaml:"template,omitempty"`
	// IDHeader carries the {id} of the template.
	IDHeader string `json:"idHeader,omitempty" yaml:"idHeader,omitempty"`
	// Timestamp is where the signed time is found. Default: there is none.
	Timestamp Timestamp `json:"timestamp,omitzero" yaml:"timestamp,omitempty"`
	// Tolerance is how far the signed time may be from now. Default: any distance.
	Tolerance Tolerance `json:"tolerance,omitzero" yaml:"tolerance,omitempty"`
	// Key is how a secret becomes a key.
	Key Key `json:"key,omitzero" yaml:"key,omitempty"`
	// RequireBody refuses messages without a body, for platforms that never send one.
	RequireBody bool `json:"requireBody,omitempty" yaml:"requireBody,omitempty"`
}

// Algorithm is what makes a signature of bytes and a key.
type Algorithm string

// The algorithms: all but Ed25519 are the hash of an HMAC. SHA1 is for platforms that offer nothing newer.
const (
	SHA1    Algorithm = "sha1"
	SHA256  Algorithm = "sha256"
	SHA512  Algorithm = "sha512"
	Ed25519 Algorithm = "ed25519" // the secret is the public key to verify, the private key or its seed to sign
)

// Encoding is how bytes become text.
type Encoding string

// The encodings. Text, the bytes as they are, is for keys only.
const (
	Text   Encoding = "text"
	Hex    Encoding = "hex"
	Base64 Encoding = "base64"
)

// List is how a header holds several signatures.
type List string

// The lists: Pairs is "t=1700000000,v1=abc,v1=def", Versions is "v1,abc v1a,def".
const (
	Pairs    List = "pairs"
	Versions List = "versions"
)

// Unit is how a timestamp is written.
type Unit string

// The units. Seconds and milliseconds since 1970 are exactly ten and thirteen digits, which holds from 2001 to 2286:
// a timestamp of a fixed length cannot give digits to the text beside it, or take some, under the same signature.
const (
	Seconds      Unit = "s"
	Milliseconds Unit = "ms"
	RFC3339      Unit = "rfc3339"
)

// Timestamp is where a message tells when it was signed: at most one of Header, Field and BodyPath.
type Timestamp struct {
	// Header is a header of its own.
	Header string `json:"header,omitempty" yaml:"header,omitempty"`
	// Field is a key in the signature header, which then is a list of [Pairs].
	Field string `json:"field,omitempty" yaml:"field,omitempty"`
	// BodyPath leads to a number or string in a JSON body: object keys with dots between them.
	BodyPath string `json:"bodyPath,omitempty" yaml:"bodyPath,omitempty"`
	// Unit is how it is written. Default: [Seconds].
	Unit Unit `json:"unit,omitempty" yaml:"unit,omitempty"`
}

// Tolerance is how far a signed time may be from now, bounds included; a zero bound tolerates everything.
type Tolerance struct {
	// Past is the greatest age.
	Past Duration `json:"past,omitempty" yaml:"past,omitempty"`
	// Future is how far a clock may be ahead of ours.
	Future Duration `json:"future,omitempty" yaml:"future,omitempty"`
}

// Duration is a time.Duration written as text ("5m") in JSON and YAML.
type Duration time.Duration

// MarshalText writes the duration as [time.Duration.String] does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what [time.ParseDuration] reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(parsed)
	return nil
}

// JSONSchema implements events.Titled: a duration is text.
func (Duration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Description: `such as "5m"`}
}

// Validate says what is wrong with the spec, all of it at once.
func (s Spec) Validate() error {
	_, err := s.compile()
	return err
}

// compile fills in the defaults and refuses what is unknown, contradictory, or would leave something unsigned.
func (s Spec) compile() (compiled, error) {
	s.Algorithm = cmp.Or(s.Algorithm, SHA256)
	s.Encoding = cmp.Or(s.Encoding, Hex)
	s.Template = cmp.Or(s.Template, "{body}")
	s.Timestamp.Unit = cmp.Or(s.Timestamp.Unit, Seconds)
	s.Key.Encoding = cmp.Or(s.Key.Encoding, Text)
	switch s.List {
	case Pairs:
		s.Separator = cmp.Or(s.Separator, ",")
	case Versions:
		s.Separator = cmp.Or(s.Separator, " ")
	}

	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	known(need, "algorithm", s.Algorithm, SHA1, SHA256, SHA512, Ed25519)
	known(need, "encoding", s.Encoding, Hex, Base64)
	known(need, "list", s.List, "", Pairs, Versions)
	known(need, "timestamp.unit", s.Timestamp.Unit, Seconds, Milliseconds, RFC3339)
	known(need, "key.encoding", s.Key.Encoding, Text, Hex, Base64)

	need(isToken(s.Header), "header: name the header that carries the signature")
	need(s.IDHeader == "" || isToken(s.IDHeader), "idHeader: %q is no header name", s.IDHeader)
	at := s.Timestamp
	need(at.Header == "" || isToken(at.Header), "timestamp.header: %q is no header name", at.Header)

	need(!strings.EqualFold(s.Header, s.IDHeader) && !strings.EqualFold(s.Header, at.Header),
		"header: it carries the signature alone, not the id or time too")
	need(s.IDHeader == "" || !strings.EqualFold(s.IDHeader, at.Header), "idHeader: it carries the id alone, not the time too")

	listed := s.List != ""
	need(listed == (s.Version != ""), "version: a list needs it, anything else has none")
	need(listed || s.Separator == "", "separator: only a list has one")
	need(!strings.ContainsAny(s.Separator, "+/=") && !strings.ContainsFunc(s.Separator, alphanumeric),
		"separator: it must not be part of what it separates")
	for _, name := range []string{s.Version, at.Field} {
		need(name == "" || isToken(name) && !strings.ContainsAny(name, s.Separator),
			"version, timestamp.field: %q cannot be a name in the list", name)
	}
	need(strings.TrimLeft(s.Prefix, " ") == s.Prefix && !strings.ContainsFunc(s.Prefix+s.Separator, unicode.IsControl),
		"prefix, separator: they must be able to stand in a header")
	need(at.Field == "" || at.Field != s.Version, "timestamp.field: it cannot be the version too")
	need(!listed || s.Prefix == "", "prefix: a list has none, its entries are named by version")

	parts, err := parseTemplate(s.Template)
	need(err == nil, "template: %w", err)
	need(has(parts, bodyPart), "template: {body} must be in it, or the body would not be signed")
	need(has(parts, idPart) == (s.IDHeader != ""), "idHeader: it goes with {id} in the template, each needs the other")

	sources := 0
	for _, source := range []string{at.Header, at.Field, at.BodyPath} {
		if source != "" {
			sources++
		}
	}
	need(sources <= 1, "timestamp: only one of header, field and bodyPath")
	need(at.Field == "" || s.List == Pairs, "timestamp.field: only a list of pairs has fields")
	need(has(parts, timestampPart) == (at.Header != "" || at.Field != ""),
		"timestamp: a header or field goes with {timestamp} in the template, each needs the other")
	need(s.Tolerance == Tolerance{} || sources == 1, "tolerance: it needs a timestamp")
	need(s.Tolerance.Past >= 0 && s.Tolerance.Future >= 0, "tolerance: it cannot be negative")
	need(s.Algorithm != Ed25519 || s.Key.Encoding != Text, "key.encoding: an ed25519 key is hex or base64")
	need(s.Key.Min >= 0 && (s.Key.Max == 0 || s.Key.Max >= s.Key.Min), "key: min and max contradict each other")
	if err := errors.Join(errs...); err != nil {
		return compiled{}, fmt.Errorf("signature scheme: %w", err)
	}
	return compiled{Spec: s, parts: parts}, nil
}

func known[T ~string](need func(bool, string, ...any), field string, value T, values ...T) {
	need(slices.Contains(values, value), "%s: %q is not known, use one of %q", field, value, values)
}

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// isToken tells whether name is a token of HTTP, as field names are.
func isToken(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}
