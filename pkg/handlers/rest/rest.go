package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// API is a platform's API, for one installation. HTTP, Base and Name are
// required.
type API struct {
	// Name is the platform's, as people write it: "Telegram". Errors begin with
	// it.
	Name string
	// HTTP is the client of the handler's props. A redirect is followed to the
	// same host alone, and only if the method stays: elsewhere the credentials
	// would go along, and a POST would become a GET.
	HTTP *http.Client
	// Base is the URL that paths are put behind, with or without a slash at its
	// end.
	Base string
	// Header goes with every request, such as {"Authorization": {"Bearer …"}}.
	// What it holds is taken out of what errors quote.
	Header http.Header
	// Secret is a credential that is not in Header, such as one in Base; it is
	// taken out of what errors quote, too.
	Secret handlers.Secret
	// Refused reads the platform's own words in any answer, also in one with
	// status 2xx: many say no only in the body. It returns what becomes of the
	// delivery, mostly made by [Answer.Error], or nil for what the status alone
	// decides.
	Refused func(a *Answer) error
	// Now is the clock that the platform's times are measured by; time.Now when
	// nil.
	Now func() time.Time
}

// With returns the API with one more header, such as the idempotency key of one
// call.
func (a API) With(name, value string) API {
	a.Header = a.Header.Clone()
	if a.Header == nil {
		a.Header = http.Header{}
	}
	a.Header.Set(name, value)
	return a
}

// Do sends one request and reads its answer.
//
// Path is put behind Base and may have a query. In is sent as JSON, unless it
// is a [Body] or nil, which means no body. The answer's JSON is decoded into
// out, unless that is nil, which ignores it, or an *[Answer], which gets all of
// it, headers too.
//
// Its errors are judged already: return them as they are, or wrapped. The
// platform's own is an *[Error].
func (a API) Do(ctx context.Context, method, path string, in, out any) error {
	answer, err := a.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	if a.Refused != nil {
		if err := a.Refused(answer); err != nil {
			return err
		}
	}
	if !answer.OK() {
		return answer.Error("", "").Judge()
	}
	if answer.broken != nil {
		return fmt.Errorf("%s: %s: read answer: %w", a.Name, method, answer.broken)
	}
	switch out := out.(type) {
	case nil:
		return nil
	case *Answer:
		*out = *answer
		return nil
	default:
		return answer.Decode(out)
	}
}

func (a API) send(ctx context.Context, method, path string, in any) (*Answer, error) {
	body, err := bodyOf(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: encode request: %w", a.Name, method, err)
	}
	request, err := a.request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	client := *a.HTTP
	client.CheckRedirect = sameHost
	response, err := client.Do(request)
	if err != nil {
		err = withoutURL(err)
		return nil, &unanswered{fmt.Sprintf("%s: %s: %s", a.Name, method, a.discreet(err.Error())), err}
	}
	defer response.Body.Close()
	answer := &Answer{Status: response.StatusCode, Header: response.Header, api: a, method: method}
	answer.Body, answer.broken = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if len(answer.Body) > maxAnswer {
		answer.Body, answer.broken = answer.Body[:maxAnswer], fmt.Errorf("it is larger than %d bytes", maxAnswer)
	}
	return answer, nil
}

func (a API) request(ctx context.Context, method, path string, body Body) (*http.Request, error) {
	address := strings.TrimSuffix(a.Base, "/")
	if path != "" {
		address += "/" + strings.TrimPrefix(path, "/")
	}
	request, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err == nil && (request.URL.Host == "" || request.URL.Scheme != "http" && request.URL.Scheme != "https") {
		err = errors.New("it is no HTTP URL")
	}
	if err != nil {
		return nil, handlers.Permanent(handlers.NewRuntimeError(
			"the address of "+a.Name+"'s API is not valid: check apiUrl", withoutURL(err)))
	}
	for name, values := range a.Header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	if request.Header.Get("Accept") == "" {
		request.Header.Set("Accept", "application/json")
	}
	if body.Type != "" {
		request.Header.Set("Content-Type", body.Type)
		request.Body = io.NopCloser(bytes.NewReader(body.Data))
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body.Data)), nil }
		request.ContentLength = int64(len(body.Data))
	}
	return request, nil
}

// sameHost follows no redirect that would lose the method or take the
// credentials elsewhere; the redirect itself is then the answer.
func sameHost(next *http.Request, before []*http.Request) error {
	first := before[0]
	if next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme || next.Method != first.Method || len(before) > 5 {
		return http.ErrUseLastResponse
	}
	return nil
}

// withoutURL takes away the URL that net/http and net/url write into their
// errors.
func withoutURL(err error) error {
	for {
		about, ok := errors.AsType[*url.Error](err)
		if !ok {
			return err
		}
		err = about.Err
	}
}

// unanswered is an error of the way to the platform. Its text may quote what
// the platform sent, such as where it redirects to.
type unanswered struct {
	text string
	err  error
}

func (u *unanswered) Error() string { return u.text }
func (u *unanswered) Unwrap() error { return u.err }

// Answer is what a platform answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // 1 MiB at most

	api    API
	method string
	broken error // why there is not all of Body
}

// OK tells whether the status is 2xx.
func (a *Answer) OK() bool { return a.Status >= 200 && a.Status <= 299 }

// Decode decodes the body's JSON. What it does not know is ignored.
func (a *Answer) Decode(out any) error {
	err := json.Unmarshal(a.Body, out)
	if err == nil {
		return nil
	}
	if len(bytes.TrimSpace(a.Body)) == 0 {
		err = errors.New("it is empty")
	}
	return fmt.Errorf("%s: %s: decode answer: %w", a.api.Name, a.method, err)
}

// Until reads when to try again out of a value of the answer, see [Until].
func (a *Answer) Until(value string) (time.Duration, bool) { return Until(value, a.now()) }

func (a *Answer) now() time.Time {
	if a.api.Now == nil {
		return time.Now()
	}
	return a.api.Now()
}
