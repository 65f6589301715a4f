package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/pkg/client"
)

// refuse answers with an error's body. An error that is the server's own is
// logged with its cause, under the id that the caller gets.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	fault := *client.AsError(err)
	if fault.ID == "" {
		fault.ID = client.NewError(fault.Type, "").ID
	}
	fault.Code = fault.Type.Status()
	if _, ok := errors.AsType[*outage](err); ok {
		w.Header().Set("Retry-After", retryAfter)
	} else if fault.Code >= http.StatusInternalServerError && r.Context().Err() == nil {
		a.Logger.WithFields(logrus.Fields{"id": fault.ID, "method": r.Method, "cause": cause(err)}).Error("API call failed")
	}
	body, err := json.Marshal(&fault)
	if err != nil { // metadata that is no JSON
		fault.Metadata = nil
		body, _ = json.Marshal(&fault)
	}
	write(w, fault.Code, body)
}

// cause is what the caller is not told.
func cause(err error) string {
	if own, ok := errors.AsType[*client.Error](err); ok && own.Unwrap() != nil {
		return own.Unwrap().Error()
	}
	return err.Error()
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // nobody is left to tell
}

// recovered answers a panic as what it is to the caller, an internal error.
func (a *api) recovered(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch value := recover(); value {
			case nil:
			case http.ErrAbortHandler:
				panic(value)
			default:
				a.refuse(w, r, fmt.Errorf("panic: %v\n%s", value, debug.Stack()))
			}
		}()
		next(w, r)
	})
}
