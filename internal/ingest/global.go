package ingest

import (
	"errors"
	"net/http"

	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// byIdentifier routes a request to an integration's one global webhook: the
// integration reads out of it whom the platform means. The installation that
// is found verifies the request like any other.
func (in *ingest) byIdentifier(w http.ResponseWriter, r *http.Request) (store.Installation, *events.Request, *events.Response, error) {
	fail := func(status int, reason, text string, cause error) (store.Installation, *events.Request, *events.Response, error) {
		return store.Installation{}, nil, nil, &refusal{status, reason, text, cause}
	}
	name := r.PathValue("integration")
	route := in.Installations.Route(name)
	if route == nil {
		return fail(http.StatusNotFound, "unknown", "no such webhook", errors.New("no integration of that name with a global webhook"))
	}
	request, err := in.read(w, r)
	if err != nil {
		return store.Installation{}, nil, nil, err
	}
	secrets := in.Secrets.Of(name)
	identifier, err := route.Extract(request, secrets)
	if err != nil {
		return fail(http.StatusBadRequest, "malformed", "the request is not what "+name+" sends", err)
	}
	if identifier == "" {
		return in.fallback(route, name, request, secrets)
	}
	installation, ok := in.Directory.ByIdentifier(name, identifier)
	if !ok || installation.Disabled {
		return store.Installation{}, nil, nil, errUnknown
	}
	return installation, request, nil, nil
}

// fallback answers a request that names nobody.
func (in *ingest) fallback(route *handlers.Identifier, name string, request *events.Request, secrets handlers.SecretLookup) (store.Installation, *events.Request, *events.Response, error) {
	refused := &refusal{http.StatusNotFound, "unidentified", "the request names no installation", errors.New("no identifier")}
	if route.Fallback == nil {
		return store.Installation{}, nil, nil, refused
	}
	response, err := route.Fallback(request, secrets, in.Now())
	if err != nil {
		refused = &refusal{http.StatusUnauthorized, "unverified", "the request could not be verified", err}
	}
	if err != nil || response == nil {
		return store.Installation{}, nil, nil, refused
	}
	return store.Installation{Integration: name}, request, response, nil
}
