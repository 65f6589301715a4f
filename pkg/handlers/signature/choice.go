package signature

import (
	"errors"
	"strings"
	"time"
)

// byHeader is one signature under one of several header names. A message that has more than one is refused, since it
// would be open which of them vouches for it. It signs under the first name.
type byHeader []Spec

func (b byHeader) Verifier(secrets ...string) (Verifier, error) {
	verifiers := make([]Verifier, len(b))
	for i, spec := range b {
		verifier, err := spec.Verifier(secrets...)
		if err != nil {
			return nil, err
		}
		verifiers[i] = verifier
	}
	return verifierFunc(func(msg Message, now time.Time) error {
		chosen := 0 // which says what is missing, if none is there
		found := 0
		for i, spec := range b {
			if len(msg.Header.Values(spec.Header)) > 0 {
				chosen = i
				found++
			}
		}
		if found > 1 {
			return refuse(Repeated, "signatures under %d header names", found)
		}
		return verifiers[chosen].Verify(msg, now)
	}), nil
}

func (b byHeader) Sign(msg *Message, secret string, now time.Time) error {
	for _, other := range b[1:] {
		msg.Header.Del(other.Header)
	}
	return b[0].Sign(msg, secret, now)
}

// StandardWebhooks is the scheme of standardwebhooks.com, which Svix and its many customers use: v1 with a symmetric
// secret (whsec_…, or its bare base64), v1a with ed25519, whose public key is whpk_… to verify and whsk_… to sign. The
// headers are webhook-id, webhook-timestamp and webhook-signature, or svix- ones; it signs with the former.
type StandardWebhooks struct {
	// Tolerance is how far the signed time may be from now. Default: five minutes both ways.
	Tolerance Tolerance `json:"tolerance,omitzero" yaml:"tolerance,omitempty"`
}

const (
	symmetricPrefix = "whsec_"
	publicPrefix    = "whpk_"
	privatePrefix   = "whsk_"
)

// Verifier implements [Scheme]. Secrets and public keys may stand side by side.
func (s StandardWebhooks) Verifier(secrets ...string) (Verifier, error) {
	if len(secrets) == 0 {
		return nil, ErrNoSecret
	}
	var symmetric, public []string
	for _, secret := range secrets {
		switch {
		case strings.HasPrefix(secret, privatePrefix):
			return nil, errors.New("that is the sender's private key: configure the public one, whpk_")
		case strings.HasPrefix(secret, publicPrefix):
			public = append(public, secret)
		default:
			symmetric = append(symmetric, secret)
		}
	}
	var either anyOf
	for _, group := range []struct {
		scheme  byHeader
		secrets []string
	}{{s.symmetric(), symmetric}, {s.asymmetric(publicPrefix), public}} {
		if len(group.secrets) == 0 {
			continue
		}
		verifier, err := group.scheme.Verifier(group.secrets...)
		if err != nil {
			return nil, err
		}
		either = append(either, verifier)
	}
	return either, nil
}

// Sign implements [Scheme].
func (s StandardWebhooks) Sign(msg *Message, secret string, now time.Time) error {
	if strings.HasPrefix(secret, privatePrefix) {
		return s.asymmetric(privatePrefix).Sign(msg, secret, now)
	}
	if strings.HasPrefix(secret, publicPrefix) {
		return errors.New("a public key cannot sign: use the private one, whsk_")
	}
	return s.symmetric().Sign(msg, secret, now)
}

func (s StandardWebhooks) symmetric() byHeader {
	return s.families(Spec{
		Version: "v1",
		Key:     Key{Encoding: Base64, Prefix: symmetricPrefix, Min: 24, Max: 64},
	})
}

func (s StandardWebhooks) asymmetric(prefix string) byHeader {
	return s.families(Spec{
		Algorithm: Ed25519,
		Version:   "v1a",
		Key:       Key{Encoding: Base64, Prefix: prefix},
	})
}

// families fills in what both versions have in common, under both families of header names.
func (s StandardWebhooks) families(spec Spec) byHeader {
	spec.Encoding = Base64
	spec.List = Versions
	spec.Template = "{id}.{timestamp}.{body}"
	spec.Tolerance = s.Tolerance
	if spec.Tolerance == (Tolerance{}) {
		spec.Tolerance = Tolerance{Past: fiveMinutes, Future: fiveMinutes}
	}
	var out byHeader
	for _, family := range []string{"Webhook-", "Svix-"} {
		spec.Header = family + "Signature"
		spec.IDHeader = family + "Id"
		spec.Timestamp.Header = family + "Timestamp"
		out = append(out, spec)
	}
	return out
}

// anyOf accepts what one of its verifiers accepts.
type anyOf []Verifier

func (a anyOf) Verify(msg Message, now time.Time) error {
	var worth error
	for _, verifier := range a {
		err := verifier.Verify(msg, now)
		if err == nil {
			return nil
		}
		// A signature that is there but wrong tells more than that one of the other version is not there.
		if refused, ok := errors.AsType[*Error](err); worth == nil || !ok || refused.Reason != Missing {
			worth = err
		}
	}
	return worth
}
