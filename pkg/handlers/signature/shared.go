package signature

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"
)

// SharedSecret is no signature: the secret itself comes along in a header. It tells who sent the message, not that it
// arrived unchanged or now, so it is worth no more than the TLS connection it came over.
type SharedSecret struct {
	// Header carries the secret. Required.
	Header string `json:"header" yaml:"header"`
	// Prefix stands before the secret ("Bearer ") and is required there.
	Prefix string `json:"prefix,omitempty" yaml:"prefix,omitempty"`
}

// Verifier implements [Scheme].
func (s SharedSecret) Verifier(secrets ...string) (Verifier, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	keys, err := decodeAll(secrets, Key{Encoding: Text}.bytes)
	if err != nil {
		return nil, err
	}
	verifier := sharedVerifier{SharedSecret: s}
	for _, key := range keys {
		verifier.sums = append(verifier.sums, sha256.Sum256(key))
	}
	return verifierFunc(verifier.verify), nil
}

// Sign implements [Scheme]; it sets the header to the secret.
func (s SharedSecret) Sign(msg *Message, secret string, _ time.Time) error {
	if err := s.validate(); err != nil {
		return err
	}
	if _, err := (Key{Encoding: Text}).bytes(secret); err != nil {
		return err
	}
	if msg.Header == nil {
		msg.Header = http.Header{}
	}
	msg.Header.Set(s.Header, s.Prefix+secret)
	return nil
}

func (s SharedSecret) validate() error { return Spec{Header: s.Header}.Validate() }

// sharedVerifier compares hashes, so that the time taken does not tell the length of a secret either.
type sharedVerifier struct {
	SharedSecret
	sums [][sha256.Size]byte
}

func (v sharedVerifier) verify(msg Message, _ time.Time) error {
	value, err := single(msg.Header, v.Header)
	if err != nil {
		return err
	}
	value, found := strings.CutPrefix(value, v.Prefix)
	if !found {
		return refuse(Malformed, "header %s does not begin with %q", v.Header, v.Prefix)
	}
	got := sha256.Sum256([]byte(value))
	equal := 0
	for _, sum := range v.sums {
		equal |= subtle.ConstantTimeCompare(got[:], sum[:])
	}
	if equal == 0 {
		return refuse(Mismatch, "header %s is none of the configured secrets", v.Header)
	}
	return nil
}
