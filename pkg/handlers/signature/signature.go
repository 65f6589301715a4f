// Package signature verifies that a webhook was sent by the platform that shares a secret with us, and signs messages
// the way those platforms do, for tests, samples and triggers.
//
// A [Scheme] says how a platform signs. Most are a [Spec], which is plain data that a configuration file can carry;
// [SharedSecret], [Twilio] and [StandardWebhooks] are what data cannot say. Secrets turn a scheme into a [Verifier],
// and everything that can be wrong with scheme or secrets is refused at that moment, so that a verifier that exists
// always verifies.
//
// Everything compares in constant time, reads the time only from its caller, and fails closed: one header value,
// one known algorithm, a signed body.
package signature

import (
	"fmt"
	"net/http"
	"time"
)

// Message is what a platform sent, or, to be signed, is about to send.
type Message struct {
	// Header holds the request's headers under their canonical names, as net/http does.
	Header http.Header
	// Body is the raw body: one re-encoded byte breaks a signature.
	Body []byte
	// URL is the absolute public URL the platform called, as it was configured there. Only schemes that sign the
	// URL need it. Behind a proxy it is not what the server sees.
	URL string
}

// Verifier decides whether a message is what the owner of a secret sent. It is safe for concurrent use.
type Verifier interface {
	// Verify returns nil for a message that is genuine and, at now, fresh enough; otherwise an [*Error].
	Verify(msg Message, now time.Time) error
}

// verifierFunc holds its keys in a closure, where no log that prints a verifier finds them.
type verifierFunc func(Message, time.Time) error

func (f verifierFunc) Verify(msg Message, now time.Time) error { return f(msg, now) }

// Scheme is how a platform proves that a message is its own.
type Scheme interface {
	// Verifier accepts messages signed with any of the secrets: the current one and those still accepted during a
	// rotation. It refuses a contradictory scheme, no secret, and a secret that is empty or cannot be a key.
	Verifier(secrets ...string) (Verifier, error)
	// Sign sets what the platform would send at now: headers that sign msg, and, where the scheme signs a time
	// inside the body or a hash inside the URL, that too. Signing again replaces the earlier signature.
	Sign(msg *Message, secret string, now time.Time) error
}

// Verify is [Scheme.Verifier] and [Verifier.Verify] in one, for secrets that come with each call. Its error is an
// [*Error] unless scheme or secrets are at fault.
func Verify(scheme Scheme, secrets []string, msg Message, now time.Time) error {
	verifier, err := scheme.Verifier(secrets...)
	if err != nil {
		return err
	}
	return verifier.Verify(msg, now)
}

// Reason is why a message was refused: a short stable word, fit to be the label of a metric.
type Reason string

// The reasons, in the order in which a message is checked: only a message that is signed can be stale or early.
const (
	// Missing: the signature, or something it covers, is not there.
	Missing Reason = "missing"
	// Repeated: what must be there once is there several times.
	Repeated Reason = "repeated"
	// Malformed: the signature, or something it covers, cannot be read.
	Malformed Reason = "malformed"
	// Mismatch: no secret made this signature over this message.
	Mismatch Reason = "mismatch"
	// Stale: signed longer ago than is tolerated.
	Stale Reason = "stale"
	// Early: signed further in the future than is tolerated; one of the clocks is wrong.
	Early Reason = "early"
)

// Error is a refusal of [Verifier.Verify]. It never holds a secret, a signature or anything else the sender chose.
type Error struct {
	// Reason is the class of the refusal.
	Reason Reason
	// Detail is for a log, not for the sender.
	Detail string
}

// Error names the class and the detail.
func (e *Error) Error() string { return "signature " + string(e.Reason) + ": " + e.Detail }

func refuse(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
