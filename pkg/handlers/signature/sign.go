package signature

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Sign implements [Scheme]. The id header is kept where it is there, else made of time and body; a time in the body
// must be there already, and is set to now. With [Ed25519], secret is the private key or its seed.
func (s Spec) Sign(msg *Message, secret string, now time.Time) error {
	c, err := s.compile()
	if err != nil {
		return err
	}
	key, err := c.signingKey(secret)
	if err != nil {
		return err
	}
	if c.RequireBody && len(msg.Body) == 0 {
		return refuse(Missing, "the body is empty")
	}
	if msg.Header == nil {
		msg.Header = http.Header{}
	}
	stamp := c.Timestamp.Unit.format(now)
	if c.Timestamp.Header != "" {
		msg.Header.Set(c.Timestamp.Header, stamp)
	}
	if c.Timestamp.BodyPath != "" {
		if msg.Body, err = c.Timestamp.setBodyTime(msg.Body, now); err != nil {
			return err
		}
	}
	if c.IDHeader != "" && msg.Header.Get(c.IDHeader) == "" {
		msg.Header.Set(c.IDHeader, newID(msg.Body, now))
	}
	signed, err := c.signed(*msg, stamp)
	if err != nil {
		return err
	}
	msg.Header.Set(c.Header, c.header(c.Encoding.encode(c.Algorithm.sign(key, signed)), stamp))
	return nil
}

// header writes a signature the way entries reads it.
func (c compiled) header(signature, stamp string) string {
	switch {
	case c.List == Versions:
		return c.Version + "," + signature
	case c.Timestamp.Field != "":
		return c.Timestamp.Field + "=" + stamp + c.Separator + c.Version + "=" + signature
	case c.List == Pairs:
		return c.Version + "=" + signature
	default:
		return c.Prefix + signature
	}
}

// newID is the same for the same body at the same time, so that what is signed can be told beforehand.
func newID(body []byte, now time.Time) string {
	sum := sha256.Sum256(strconv.AppendInt(slices.Clip(body), now.UnixNano(), 10))
	return "msg_" + hex.EncodeToString(sum[:12])
}
