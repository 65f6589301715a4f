package signature

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Twilio signs the public URL and the parameters of a form, or, for any other body, a URL that carries the body's
// hash. The secret is the auth token, or a shared key of the webhook settings. Since the parameters are joined without
// anything between them, the scheme itself cannot tell "ab=c" from "a=bc"; nor does it sign the time.
type Twilio struct{}

const (
	twilioHeader = "X-Twilio-Signature"
	twilioHash   = "bodySHA256"
	formType     = "application/x-www-form-urlencoded"
)

// Verifier implements [Scheme].
func (Twilio) Verifier(secrets ...string) (Verifier, error) {
	keys, err := decodeAll(secrets, Key{Encoding: Text}.bytes)
	if err != nil {
		return nil, err
	}
	return verifierFunc(twilioVerifier(keys).verify), nil
}

// Sign implements [Scheme]. It needs msg.URL, and adds the hash of a body that is not a form (by its Content-Type) to it.
func (Twilio) Sign(msg *Message, secret string, _ time.Time) error {
	key, err := (Key{Encoding: Text}).bytes(secret)
	if err != nil {
		return err
	}
	address, query, err := twilioURL(msg.URL)
	if err != nil {
		return err
	}
	if msg.Header == nil {
		msg.Header = http.Header{}
	}
	if len(msg.Body) > 0 && !isForm(msg.Header) {
		if old := query.Get(twilioHash); old != "" {
			address = strings.Replace(address, twilioHash+"="+old, twilioHash+"="+bodyHash(msg.Body), 1)
		} else if strings.Contains(address, "?") {
			address += "&" + twilioHash + "=" + bodyHash(msg.Body)
		} else {
			address += "?" + twilioHash + "=" + bodyHash(msg.Body)
		}
		msg.URL = address
		if _, query, err = twilioURL(address); err != nil {
			return err
		}
	}
	params, err := twilioParams(*msg, query)
	if err != nil {
		return err
	}
	signature := SHA1.sign(key, []byte(quoted(address)+params))
	msg.Header.Set(twilioHeader, Base64.encode(signature))
	return nil
}

type twilioVerifier [][]byte

func (v twilioVerifier) verify(msg Message, _ time.Time) error {
	value, err := single(msg.Header, twilioHeader)
	if err != nil {
		return err
	}
	signature, err := Base64.decode(value)
	if err != nil || len(signature) != SHA1.size() {
		return refuse(Malformed, "header %s is not %s of %d bytes", twilioHeader, Base64, SHA1.size())
	}
	address, query, err := twilioURL(msg.URL)
	if err != nil {
		return err
	}
	params, err := twilioParams(msg, query)
	if err != nil {
		return err
	}
	equal := 0
	for _, form := range twilioForms(address) {
		signed := []byte(form + params)
		for _, key := range v {
			equal |= subtle.ConstantTimeCompare(SHA1.sign(key, signed), signature)
		}
	}
	if equal == 0 {
		return refuse(Mismatch, "header %s was not made by a configured secret over this URL and body", twilioHeader)
	}
	return nil
}

// twilioURL is the URL without its fragment, which is never sent, and its query.
func twilioURL(address string) (string, url.Values, error) {
	if address == "" {
		return "", nil, refuse(Missing, "the scheme signs the URL, and the public URL is not known")
	}
	address, _, _ = strings.Cut(address, "#")
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "https" && parsed.Scheme != "http") {
		return "", nil, refuse(Malformed, "the URL is not an absolute one of http or https")
	}
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		return "", nil, refuse(Malformed, "the query of the URL cannot be read")
	}
	return address, query, nil
}

// twilioParams is what is signed after the URL: a form's parameters by name, repeated ones by value and each once. For
// another body it is nothing, but then the signed URL must hold its hash.
func twilioParams(msg Message, query url.Values) (string, error) {
	switch hashes := query[twilioHash]; {
	case len(hashes) > 1:
		return "", refuse(Repeated, "%s is in the URL %d times", twilioHash, len(hashes))
	case len(hashes) == 1:
		if subtle.ConstantTimeCompare([]byte(strings.ToLower(hashes[0])), []byte(bodyHash(msg.Body))) == 0 {
			return "", refuse(Mismatch, "%s in the URL is not the body's", twilioHash)
		}
		return "", nil
	case len(msg.Body) == 0:
		return "", nil
	case !isForm(msg.Header):
		return "", refuse(Missing, "the body is no form and the URL has no %s, so that nothing signs the body", twilioHash)
	}
	form, err := url.ParseQuery(string(msg.Body))
	if err != nil {
		return "", refuse(Malformed, "the body is not a form")
	}
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	var out strings.Builder
	for _, name := range names {
		values := form[name]
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			out.WriteString(name)
			out.WriteString(value)
		}
	}
	return out.String(), nil
}

// twilioForms are the ways Twilio may have written the URL it signed: with or without the port, whether or not it
// is the scheme's own, and with ' escaped or not.
func twilioForms(address string) []string {
	scheme, rest, _ := strings.Cut(address, "://")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, path := rest[:end], rest[end:]
	// A colon of the user's password, or inside an IPv6 address, begins no port.
	host, port := authority, ""
	if colon := strings.LastIndexByte(authority, ':'); colon > strings.LastIndexAny(authority, "@]") {
		host, port = authority[:colon], authority[colon:]
	}
	if port == "" {
		port = ":443"
		if scheme == "http" {
			port = ":80"
		}
	}
	var out []string
	for _, authority := range []string{host, host + port} {
		plain := scheme + "://" + authority + path
		out = append(out, plain)
		if escaped := quoted(plain); escaped != plain {
			out = append(out, escaped)
		}
	}
	return out
}

// quoted writes ' in the URL the way Twilio does.
func quoted(address string) string { return strings.ReplaceAll(address, "'", "%27") }

func bodyHash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func isForm(header http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && mediaType == formType
}
