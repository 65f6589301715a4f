package rest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
)

const (
	maxQuoted = 300 // of a body, in bytes, for the log
	maxSaid   = 300 // of the platform's own words, in bytes, for the bot's owner
	hidden    = "[secret]"
)

// Error is a platform's refusal. Its text is for the log.
type Error struct {
	Name   string // of the platform
	Method string
	Status int
	Code   string // the platform's own, empty if it has none
	Says   string // the platform's own words, empty if they are not known
	Body   string // the beginning of the answer, without credentials

	after   time.Duration // of a limit
	limited bool
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s: %d %s", e.Name, e.Method, e.Status, http.StatusText(e.Status))
	if e.Code != "" {
		text += ": code " + e.Code
	}
	return fmt.Sprintf("%s: %q", text, e.Body)
}

// Error makes an error of the answer. Code and says are the platform's own
// words, or in says what to do about them; both may be empty. The beginning of
// says is shown to the bot's owner.
func (a *Answer) Error(code, says string) *Error {
	e := &Error{
		Name: a.api.Name, Method: a.method, Status: a.Status, Code: code,
		Says: cut(a.api.discreet(says), maxSaid), Body: cut(a.api.discreet(string(a.Body)), maxQuoted),
	}
	e.after, e.limited = RetryAfter(a.Status, a.Header, a.now())
	return e
}

func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// minSecret is the least length, in bytes, of what is looked for as a secret:
// "Bearer" and "application/json" must not be taken for one.
const minSecret = 8

// discreet takes the credentials out of a text: some platforms quote them when
// they refuse them.
func (a API) discreet(text string) string {
	if secret := a.Secret.Reveal(); secret != "" {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	for name, values := range a.Header {
		switch http.CanonicalHeaderKey(name) {
		case "Accept", "Content-Type", "User-Agent":
			continue
		}
		for _, value := range values {
			for word := range strings.FieldsSeq(value) {
				if len(word) >= minSecret {
					text = strings.ReplaceAll(text, word, hidden)
				}
			}
		}
	}
	return text
}

// Judge decides what the status means, for all that a platform does not say in
// words of its own. It is the only place that does:
//
//	401, 403                  the credentials are refused
//	408, 425, 429, 5xx        tried again, when the platform says or after the usual pause
//	403 at a limit            likewise: no more requests are left, or Retry-After is set
//	all others                given up
func (e *Error) Judge() error {
	switch {
	case e.limited, e.Status == http.StatusRequestTimeout, e.Status == http.StatusTooEarly,
		e.Status == http.StatusTooManyRequests, e.Status >= 500:
		return e.Retry()
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return e.Unauthorized()
	default:
		return e.Permanent()
	}
}

// Retry lets the request be tried again, no sooner than the answer's headers
// say.
func (e *Error) Retry() error {
	if e.limited {
		return handlers.RetryAfter(e, e.after)
	}
	return e
}

// RetryAfter lets the request be tried again after what the platform's own
// words say.
func (e *Error) RetryAfter(d time.Duration) error { return handlers.RetryAfter(e, capped(d)) }

// Unauthorized says that the credentials are refused: the installation pauses
// until it is configured anew.
func (e *Error) Unauthorized() error {
	return handlers.Unauthorized(handlers.NewRuntimeError(e.Name+" refuses the credentials: "+e.said(), e))
}

// Permanent says that the request would be refused again.
func (e *Error) Permanent() error {
	message := e.Name + " refuses the request: " + e.said()
	if e.Status >= 300 && e.Status <= 399 {
		message = e.Name + " is not at this address, it answers " + e.said() + ": check apiUrl"
	}
	return handlers.Permanent(handlers.NewRuntimeError(message, e))
}

// said is the platform's own words, or its status.
func (e *Error) said() string {
	if e.Says != "" {
		return e.Says
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)))
}

// HasStatus tells whether an error is a platform's answer with that status, so
// that a caller may take 404 for "is gone already".
func HasStatus(err error, status int) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && answer.Status == status
}
