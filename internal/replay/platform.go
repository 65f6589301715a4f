package replay

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/client"
)

// errNotSent is why a request gets no answer: replaying sends nothing, and what
// the platform would have answered is not known.
var errNotSent = errors.New(string(NotRecorded) + ", and a replay sends nothing")

var (
	_ client.Backend    = (*playback)(nil)
	_ http.RoundTripper = (*playback)(nil)
)

// RoundTrip implements http.RoundTripper: it answers as the platform did.
func (p *playback) RoundTrip(request *http.Request) (*http.Response, error) {
	sent := ""
	if request.Body != nil {
		body, err := io.ReadAll(request.Body)
		_ = request.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("read the request's body: %w", err)
		}
		sent = string(body)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at, sent := p.hide.Replace(request.URL.String()), p.hide.Replace(sent)
	safe := request.Method == http.MethodGet || request.Method == http.MethodHead
	// A platform that has another address by now is the same platform.
	recorded, source := choose(p.exchanges, safe,
		func(e dispatch.Exchange) bool { return e.Method == request.Method && e.URL == at && sameBody(e, sent) },
		func(e dispatch.Exchange) bool { return e.Method == request.Method && pathOf(e.URL) == pathOf(at) })
	asked := request.Method + " " + at
	p.notes[asked] = append(p.notes[asked], Note{source, callerLine()})
	if recorded == nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, at, errNotSent)
	}
	if recorded.Status == 0 {
		return nil, errors.New(recorded.Error)
	}
	return answerOf(*recorded, request), nil
}

// sameBody compares with what was kept of a body: nothing of one that is no
// text, and the beginning of one that was long.
func sameBody(e dispatch.Exchange, sent string) bool {
	switch {
	case e.Binary && !utf8.ValidString(sent):
		return e.Body == ""
	case e.Partial && e.Body != "" && strings.HasPrefix(sent, e.Body):
		return true
	default:
		return sameJSON(e.Body, sent)
	}
}

func pathOf(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return text
	}
	return parsed.Path
}

func answerOf(e dispatch.Exchange, request *http.Request) *http.Response {
	header := e.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Del("Content-Length") // of what is kept it may be another
	var body io.Reader = strings.NewReader(e.Answer)
	switch {
	case e.Binary && e.Answer == "" && (e.Body != "" || request.Method == http.MethodGet):
		body = broken("the platform's answer was no text, and is not recorded")
	case e.Partial && len(e.Answer) > len(e.Body):
		body = io.MultiReader(body, broken("the platform's answer is recorded only up to here"))
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)), StatusCode: e.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(body), ContentLength: -1, Request: request,
	}
}

// broken is a body that says why it cannot be read.
type broken string

// Read implements io.Reader.
func (b broken) Read([]byte) (int, error) { return 0, errors.New(string(b)) }
