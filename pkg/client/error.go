package client

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/events"
)

// ErrorType is the "type" of an error body. Botpress's client goes by it
// alone, so it decides the HTTP status too.
type ErrorType string

// The error types in use; their HTTP statuses are Botpress's.
const (
	Unknown              ErrorType = "Unknown"
	Internal             ErrorType = "Internal"
	Unauthorized         ErrorType = "Unauthorized"
	Forbidden            ErrorType = "Forbidden"
	PayloadTooLarge      ErrorType = "PayloadTooLarge"
	InvalidPayload       ErrorType = "InvalidPayload"
	UnsupportedMediaType ErrorType = "UnsupportedMediaType"
	MethodNotFound       ErrorType = "MethodNotFound"
	ResourceNotFound     ErrorType = "ResourceNotFound"
	ReferenceNotFound    ErrorType = "ReferenceNotFound"
	InvalidDataFormat    ErrorType = "InvalidDataFormat"
	InvalidIdentifier    ErrorType = "InvalidIdentifier"
	InvalidQuery         ErrorType = "InvalidQuery"
	RelationConflict     ErrorType = "RelationConflict"
	AlreadyExists        ErrorType = "AlreadyExists"
	Runtime              ErrorType = "Runtime"
	RateLimited          ErrorType = "RateLimited"
	OperationTimeout     ErrorType = "OperationTimeout"
	LimitExceeded        ErrorType = "LimitExceeded"
)

var statuses = map[ErrorType]int{
	Unknown: 500, Internal: 500, Unauthorized: 401, Forbidden: 403, PayloadTooLarge: 413, InvalidPayload: 400,
	UnsupportedMediaType: 415, MethodNotFound: 405, ResourceNotFound: 404, ReferenceNotFound: 400,
	InvalidDataFormat: 400, InvalidIdentifier: 400, InvalidQuery: 400, RelationConflict: 409, AlreadyExists: 409,
	Runtime: 400, RateLimited: 429, OperationTimeout: 504, LimitExceeded: 413,
}

// Error is an answer of the API that is no success. Its JSON is the body that
// Botpress's client understands: with any of the four fields missing, that
// client would report an unknown error.
type Error struct {
	ID       string         `json:"id"`
	Code     int            `json:"code"`
	Type     ErrorType      `json:"type"`
	Message  string         `json:"message"`
	Metadata map[string]any `json:"metadata,omitempty"`

	cause error
}

// Sentinels for [errors.Is]; they match every Error of their type.
var (
	ErrNotFound     = &Error{Type: ResourceNotFound}
	ErrInvalid      = &Error{Type: InvalidPayload}
	ErrUnauthorized = &Error{Type: Unauthorized}
	ErrForbidden    = &Error{Type: Forbidden}
)

// NewError returns an Error of the type with an id of its own.
func NewError(typ ErrorType, format string, args ...any) *Error {
	return &Error{ID: errorID(time.Now()), Code: typ.Status(), Type: typ, Message: fmt.Sprintf(format, args...)}
}

// NotFound returns the error for a missing resource. Integrations look for the
// words "not found" in its message.
func NotFound(what, id string) *Error { return NewError(ResourceNotFound, "%s %q not found", what, id) }

// AsError returns err as an Error. Anything that is none becomes Internal with
// a text that gives nothing away; the cause stays reachable for the log.
func AsError(err error) *Error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	wrapped := NewError(Internal, "internal error; the server's log has the cause under this id")
	wrapped.cause = err
	return wrapped
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Type, e.Message) }

// Unwrap returns the private cause, which never leaves the process.
func (e *Error) Unwrap() error { return e.cause }

// Is matches by type.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Type == e.Type
}

// Status is the HTTP status of the type; 500 for a type that is not known.
func (t ErrorType) Status() int {
	if status, ok := statuses[t]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// errorID has Botpress's form: err_<YYYYMMDDHHMMSS>x<8 hex digits>.
func errorID(at time.Time) string {
	id := events.Nonce()
	return "err_" + at.UTC().Format("20060102150405") + "x" + strings.ToUpper(fmt.Sprintf("%08x", hash32(id)))
}

func hash32(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}
