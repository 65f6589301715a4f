package signature

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
	"time"
)

// compiled is a spec without contradictions, its defaults filled in.
type compiled struct {
	Spec
	parts []part
}

// Verifier implements [Scheme].
func (s Spec) Verifier(secrets ...string) (Verifier, error) {
	c, err := s.compile()
	if err != nil {
		return nil, err
	}
	keys, err := decodeAll(secrets, c.verifyingKey)
	if err != nil {
		return nil, err
	}
	return verifierFunc(specVerifier{c, keys}.verify), nil
}

type specVerifier struct {
	compiled
	keys [][]byte
}

// verify looks at the time last, so that only what is genuine counts as stale, and at a body only once it is genuine.
func (v specVerifier) verify(msg Message, now time.Time) error {
	claim, err := v.claim(msg.Header)
	if err != nil {
		return err
	}
	if v.RequireBody && len(msg.Body) == 0 {
		return refuse(Missing, "the body is empty")
	}
	var at time.Time
	if v.stamped() {
		if at, err = v.Timestamp.Unit.parse(claim.stamp); err != nil {
			return err
		}
	}
	signed, err := v.signed(msg, claim.stamp)
	if err != nil {
		return err
	}
	if !v.matches(signed, claim.signatures) {
		return refuse(Mismatch, "header %s was not made by a configured secret over this message", v.Header)
	}
	if v.Timestamp.BodyPath != "" && v.Tolerance != (Tolerance{}) {
		if at, err = v.Timestamp.bodyTime(msg.Body); err != nil {
			return err
		}
	}
	return v.Tolerance.check(at, now)
}

// stamped tells whether the signature header, or one beside it, tells the time.
func (c compiled) stamped() bool { return c.Timestamp.Header != "" || c.Timestamp.Field != "" }

// matches tells whether any key made any of the signatures. HMACs are all compared, so that the time taken does not
// tell which one it was.
func (v specVerifier) matches(signed []byte, signatures [][]byte) bool {
	equal := 0
	for _, key := range v.keys {
		if v.Algorithm == Ed25519 {
			for _, signature := range signatures {
				if ed25519.Verify(key, signed, signature) {
					return true
				}
			}
			continue
		}
		want := v.Algorithm.sign(key, signed)
		for _, signature := range signatures {
			equal |= subtle.ConstantTimeCompare(want, signature)
		}
	}
	return equal == 1
}

// sign makes a signature; the algorithm is one that compile let through.
func (a Algorithm) sign(key, signed []byte) []byte {
	var algorithm func() hash.Hash
	switch a {
	case Ed25519:
		return ed25519.Sign(key, signed)
	case SHA1:
		algorithm = sha1.New
	case SHA512:
		algorithm = sha512.New
	default:
		algorithm = sha256.New
	}
	mac := hmac.New(algorithm, key)
	mac.Write(signed)
	return mac.Sum(nil)
}

// size is the length of a signature in bytes.
func (a Algorithm) size() int {
	switch a {
	case SHA1:
		return sha1.Size
	case SHA512:
		return sha512.Size
	case Ed25519:
		return ed25519.SignatureSize
	default:
		return sha256.Size
	}
}
