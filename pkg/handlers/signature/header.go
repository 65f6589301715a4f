package signature

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
)

// maxListed bounds the signatures of one header: a rotation needs two or three, and each asymmetric one costs an
// unauthenticated sender nothing and us a curve operation.
const maxListed = 16

// single is the one value of a header: two would leave open which of them was verified.
func single(header http.Header, name string) (string, error) {
	values := header.Values(name)
	switch {
	case len(values) > 1:
		return "", refuse(Repeated, "header %s is there %d times", name, len(values))
	case len(values) == 0:
		return "", refuse(Missing, "header %s is not there", name)
	case values[0] == "":
		return "", refuse(Missing, "header %s is empty", name)
	}
	return values[0], nil
}

// claim is what a message says about itself: signatures, of which one must hold, and the time in its own header or
// field, as it was written.
type claim struct {
	signatures [][]byte
	stamp      string
}

func (c compiled) claim(header http.Header) (claim, error) {
	value, err := single(header, c.Header)
	if err != nil {
		return claim{}, err
	}
	encoded, stamp, err := c.entries(value)
	if err != nil {
		return claim{}, err
	}
	if c.Timestamp.Header != "" {
		if stamp, err = single(header, c.Timestamp.Header); err != nil {
			return claim{}, err
		}
	}
	out := claim{stamp: stamp}
	for _, text := range encoded {
		// In a list, one unreadable entry does not spoil the others.
		if signature, err := c.Encoding.decode(text); err == nil && len(signature) == c.Algorithm.size() {
			out.signatures = append(out.signatures, signature)
		}
	}
	if len(out.signatures) == 0 {
		return claim{}, refuse(Malformed, "header %s is not %s of %d bytes", c.Header, c.Encoding, c.Algorithm.size())
	}
	return out, nil
}

// entries splits the signature header into the encoded signatures and the field that holds the time, if one does.
func (c compiled) entries(value string) (encoded []string, stamp string, err error) {
	if c.List == "" {
		rest, found := strings.CutPrefix(value, c.Prefix)
		if !found {
			return nil, "", refuse(Malformed, "header %s does not begin with %q", c.Header, c.Prefix)
		}
		return []string{rest}, "", nil
	}
	between := "="
	if c.List == Versions {
		between = ","
	}
	for entry := range strings.SplitSeq(value, c.Separator) {
		name, value, found := strings.Cut(strings.TrimSpace(entry), between)
		switch {
		case !found:
			return nil, "", refuse(Malformed, "header %s is not a list of %s", c.Header, c.List)
		case name == c.Version && len(encoded) == maxListed:
			return nil, "", refuse(Malformed, "header %s holds more than %d signatures", c.Header, maxListed)
		case name == c.Version:
			encoded = append(encoded, value)
		case name == c.Timestamp.Field && stamp != "":
			return nil, "", refuse(Repeated, "header %s tells the time twice", c.Header)
		case name == c.Timestamp.Field:
			stamp = value
		}
	}
	if len(encoded) == 0 {
		return nil, "", refuse(Missing, "header %s holds no %s signature", c.Header, c.Version)
	}
	if c.Timestamp.Field != "" && stamp == "" {
		return nil, "", refuse(Missing, "header %s does not tell the time", c.Header)
	}
	return encoded, stamp, nil
}

func (e Encoding) decode(text string) ([]byte, error) {
	switch e {
	case Hex:
		return hex.DecodeString(text)
	case Base64:
		return base64.StdEncoding.Strict().DecodeString(text)
	default:
		return []byte(text), nil
	}
}

func (e Encoding) encode(raw []byte) string {
	switch e {
	case Hex:
		return hex.EncodeToString(raw)
	case Base64:
		return base64.StdEncoding.EncodeToString(raw)
	default:
		return string(raw)
	}
}
