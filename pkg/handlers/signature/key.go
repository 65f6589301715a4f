package signature

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Key is how a secret, as a platform shows it, becomes the bytes of a key.
type Key struct {
	// Encoding of the secret. Default: [Text], its bytes as they are.
	Encoding Encoding `json:"encoding,omitempty" yaml:"encoding,omitempty"`
	// Prefix is cut off the secret where it is there ("whsec_").
	Prefix string `json:"prefix,omitempty" yaml:"prefix,omitempty"`
	// Min and Max bound the key's length in bytes. Default: anything that is not empty.
	Min int `json:"min,omitempty" yaml:"min,omitempty"`
	Max int `json:"max,omitempty" yaml:"max,omitempty"`
}

// ErrNoSecret is why a scheme refuses to verify or sign: without a secret everybody could have signed.
var ErrNoSecret = errors.New("no secret: configure the one the platform signs with")

// errZeroKey: HMAC fills short keys up with zeros, so a key of zeros is the empty key; as a point of ed25519 it has
// signatures that anybody can make.
var errZeroKey = errors.New("the key is all zeros, which is no secret")

// bytes decodes a secret. Its errors do not quote it.
func (k Key) bytes(secret string) ([]byte, error) {
	if strings.TrimSpace(secret) == "" {
		return nil, ErrNoSecret
	}
	rest := strings.TrimPrefix(secret, k.Prefix)
	var key []byte
	var err error
	if k.Encoding == Base64 {
		// Platforms show base64 with and without padding.
		key, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(rest, "="))
	} else {
		key, err = k.Encoding.decode(rest)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("the secret is not %s", k.Encoding)
	case len(key) == 0:
		return nil, ErrNoSecret
	case len(bytes.Trim(key, "\x00")) == 0:
		return nil, errZeroKey
	case len(key) < k.Min:
		return nil, fmt.Errorf("the key is %d bytes, it needs at least %d", len(key), k.Min)
	case k.Max > 0 && len(key) > k.Max:
		return nil, fmt.Errorf("the key is %d bytes, it may have at most %d", len(key), k.Max)
	}
	return key, nil
}

// decodeAll makes the keys of a verifier.
func decodeAll(secrets []string, decode func(string) ([]byte, error)) ([][]byte, error) {
	if len(secrets) == 0 {
		return nil, ErrNoSecret
	}
	out := make([][]byte, len(secrets))
	for i, secret := range secrets {
		key, err := decode(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %d of %d: %w", i+1, len(secrets), err)
		}
		out[i] = key
	}
	return out, nil
}

// verifyingKey is the key of a secret to verify with.
func (c compiled) verifyingKey(secret string) ([]byte, error) {
	key, err := c.Key.bytes(secret)
	if err == nil && c.Algorithm == Ed25519 && len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("the key is %d bytes, an ed25519 public key has %d", len(key), ed25519.PublicKeySize)
	}
	return key, err
}

// signingKey is the key of a secret to sign with, which for ed25519 is another one than to verify.
func (c compiled) signingKey(secret string) ([]byte, error) {
	key, err := c.Key.bytes(secret)
	if err != nil || c.Algorithm != Ed25519 {
		return key, err
	}
	switch len(key) {
	case ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(key), nil
	case ed25519.PrivateKeySize:
		return key, nil
	default:
		return nil, fmt.Errorf("the key is %d bytes, an ed25519 private key has %d, its seed %d",
			len(key), ed25519.PrivateKeySize, ed25519.SeedSize)
	}
}
