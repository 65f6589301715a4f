package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token     = "123:not-to-be-seen"
	headerKey = "key-not-to-be-seen"
)

var now = time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)

// serve returns the API of a platform that answers so.
func serve(t *testing.T, answer http.HandlerFunc) rest.API {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return rest.API{
		Name: "Acme", HTTP: server.Client(), Base: server.URL + "/bot" + token, Secret: handlers.NewSecret(token),
		Header: http.Header{"Authorization": {"Bearer " + headerKey}}, Now: func() time.Time { return now },
	}
}

func answering(status int, header http.Header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

type message struct {
	Text string `json:"text"`
}

type request struct {
	Method, URI, Type, Accept, Authorization, Key, Body string
}

func TestRequestsAreSentAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	multipart, err := rest.Multipart(map[string]string{"b": "2", "a": "1"}, rest.File{Field: "f", Name: `a "b".png`, Data: []byte{0, 255}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		method, path string
		in           any
		want         request
	}{
		"JSON":               {"POST", "sendMessage", message{"Tea"}, request{URI: "/sendMessage", Type: "application/json", Body: `{"text":"Tea"}`}},
		"no body":            {"GET", "/list?page=2", nil, request{URI: "/list?page=2"}},
		"a post of nothing":  {"POST", "go", nil, request{URI: "/go"}},
		"nothing but a base": {"GET", "", nil, request{}},
		"a form": {"POST", "go", rest.Form(url.Values{"a": {"1 2"}, "b": {"é"}}),
			request{URI: "/go", Type: "application/x-www-form-urlencoded", Body: "a=1+2&b=%C3%A9"}},
		"bytes":       {"PUT", "go", rest.Body{Type: "image/png", Data: []byte{1}}, request{URI: "/go", Type: "image/png", Body: "\x01"}},
		"a multipart": {"POST", "go", multipart, request{URI: "/go", Type: multipart.Type, Body: string(multipart.Data)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got request
			api := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = request{r.Method, r.RequestURI, r.Header.Get("Content-Type"), r.Header.Get("Accept"),
					r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"), string(body)}
				_, _ = io.WriteString(w, `{"text":"back"}`)
			})
			var out message
			if err := api.With("Idempotency-Key", "k1").Do(t.Context(), tc.method, tc.path, tc.in, &out); err != nil {
				t.Fatal(err)
			}
			tc.want.Method, tc.want.URI = tc.method, "/bot"+token+tc.want.URI
			tc.want.Accept, tc.want.Authorization, tc.want.Key = "application/json", "Bearer "+headerKey, "k1"
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if out.Text != "back" || api.Header.Get("Idempotency-Key") != "" {
				t.Errorf("answer is %+v, the API's own header %v", out, api.Header)
			}
		})
	}
}

func TestMultipartCanBeRead(t *testing.T) {
	t.Parallel()
	body, err := rest.Multipart(map[string]string{"caption": "Tea"}, rest.File{Field: "photo", Name: "é.png", Type: "image/png", Data: []byte{0, 255}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body.Data)))
	r.Header.Set("Content-Type", body.Type)
	file, header, err := r.FormFile("photo")
	if err != nil {
		t.Fatal(err)
	}
	data, _ := io.ReadAll(file)
	if r.FormValue("caption") != "Tea" || header.Filename != "é.png" || header.Header.Get("Content-Type") != "image/png" || string(data) != "\x00\xff" {
		t.Errorf("got %q, %+v, %q", r.FormValue("caption"), header, data)
	}
}

func TestWholeAnswerCanBeAskedFor(t *testing.T) {
	t.Parallel()
	api := serve(t, answering(201, http.Header{"Link": {"<next>"}}, "plain"))
	var answer rest.Answer
	if err := api.Do(t.Context(), "GET", "x", nil, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != 201 || answer.Header.Get("Link") != "<next>" || string(answer.Body) != "plain" {
		t.Errorf("answer is %+v", answer)
	}
}

func TestStatusDecidesWhatAPlatformDoesNotSay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status  int
		header  http.Header
		want    handlers.Decision
		after   time.Duration
		message string
	}{
		"ok":                          {200, nil, handlers.Done, 0, ""},
		"no content":                  {204, nil, handlers.Done, 0, ""},
		"not modified":                {304, nil, handlers.GiveUp, 0, "check apiUrl"},
		"bad request":                 {400, nil, handlers.GiveUp, 0, "Acme refuses the request: 400 Bad Request"},
		"unauthorized":                {401, nil, handlers.Pause, 0, "Acme refuses the credentials: 401 Unauthorized"},
		"unauthorized, with a time":   {401, http.Header{"Retry-After": {"3"}}, handlers.Pause, 0, "credentials"},
		"forbidden":                   {403, http.Header{"X-Ratelimit-Remaining": {"7"}, "X-Ratelimit-Reset": {"1795253409"}}, handlers.Pause, 0, "credentials"},
		"forbidden at a limit":        {403, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1795253409"}}, handlers.Retry, 9 * time.Second, ""},
		"forbidden for a while":       {403, http.Header{"Retry-After": {"60"}}, handlers.Retry, time.Minute, ""},
		"not found":                   {404, nil, handlers.GiveUp, 0, "404 Not Found"},
		"request timeout":             {408, nil, handlers.Retry, 0, ""},
		"too early":                   {425, nil, handlers.Retry, 0, ""},
		"a limit":                     {429, http.Header{"Retry-After": {"17"}}, handlers.Retry, 17 * time.Second, ""},
		"a limit without a time":      {429, nil, handlers.Retry, 0, ""},
		"a limit with a reset":        {429, http.Header{"X-Ratelimit-Reset": {"1795253409"}}, handlers.Retry, 9 * time.Second, ""},
		"broken":                      {500, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"1795253409"}}, handlers.Retry, 0, ""},
		"unavailable, back in a bit":  {503, http.Header{"Retry-After": {"Sat, 21 Nov 2026 09:30:05 GMT"}}, handlers.Retry, 5 * time.Second, ""},
		"a status that nobody gives":  {599, nil, handlers.Retry, 0, ""},
		"gone, with a time for later": {410, http.Header{"Retry-After": {"3"}}, handlers.GiveUp, 0, "410 Gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := serve(t, answering(tc.status, tc.header, ""))
			err := api.Do(t.Context(), http.MethodPost, "send", message{}, nil)
			verdict := handlers.Judge(err)
			if verdict.Decision != tc.want || verdict.After != tc.after || !strings.Contains(verdict.Message, tc.message) {
				t.Errorf("%v is judged %+v, want %s after %s, told %q", err, verdict, tc.want, tc.after, tc.message)
			}
			if tc.status >= 300 && !rest.HasStatus(err, tc.status) {
				t.Errorf("%v has not its status", err)
			}
		})
	}
}

func TestPlatformsOwnWordsComeFirst(t *testing.T) {
	t.Parallel()
	says := func(status int, body string) error {
		api := serve(t, answering(status, nil, body))
		api.Refused = func(a *rest.Answer) error {
			var said struct {
				OK    bool   `json:"ok"`
				Code  string `json:"code"`
				After string `json:"after"`
			}
			if err := json.Unmarshal(a.Body, &said); said.OK || said.Code == "" {
				t.Logf("says nothing: %v", err)
				return nil
			}
			e := a.Error(said.Code, "you said "+said.Code)
			switch said.Code {
			case "slow":
				after, _ := a.Until(said.After)
				return e.RetryAfter(after)
			case "no":
				return e.Permanent()
			case "who":
				return e.Unauthorized()
			default:
				return e.Judge()
			}
		}
		return api.Do(t.Context(), http.MethodPost, "send", message{}, nil)
	}
	for name, tc := range map[string]struct {
		status int
		body   string
		want   handlers.Verdict
	}{
		"yes":                  {200, `{"ok":true}`, handlers.Verdict{Decision: handlers.Done}},
		"no, with success":     {200, `{"code":"no"}`, handlers.Verdict{Decision: handlers.GiveUp, Message: "Acme refuses the request: you said no"}},
		"no, with 403":         {403, `{"code":"no"}`, handlers.Verdict{Decision: handlers.GiveUp, Message: "Acme refuses the request: you said no"}},
		"who, with 400":        {400, `{"code":"who"}`, handlers.Verdict{Decision: handlers.Pause, Message: "Acme refuses the credentials: you said who"}},
		"a limit, with 400":    {400, `{"code":"slow","after":"0.25"}`, handlers.Verdict{Decision: handlers.Retry, After: 250 * time.Millisecond}},
		"the status and words": {401, `{"code":"x"}`, handlers.Verdict{Decision: handlers.Pause, Message: "Acme refuses the credentials: you said x"}},
		"nothing":              {502, `<html>`, handlers.Verdict{Decision: handlers.Retry}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := handlers.Judge(says(tc.status, tc.body))
			if got.Decision == handlers.Retry {
				got.Message = "" // not for the owner to know
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNoErrorTellsTheCredentialsOrThePath(t *testing.T) {
	t.Parallel()
	leak := "/bot" + token + " " + headerKey
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx    context.Context
		change func(*rest.API)
		answer http.HandlerFunc
	}{
		"a refusal that quotes them": {t.Context(), nil, answering(400, nil, "bad: "+token+" "+headerKey)},
		"what it says quotes them": {t.Context(), func(a *rest.API) {
			a.Refused = func(a *rest.Answer) error { return a.Error("1", "bad "+token+" "+headerKey).Unauthorized() }
		}, answering(400, nil, "")},
		"a reset": {t.Context(), nil, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"half an answer": {t.Context(), nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(200)
		}},
		"no JSON":           {t.Context(), nil, answering(200, nil, leak)},
		"nothing":           {t.Context(), nil, answering(200, nil, "")},
		"a cancelled one":   {cancelled, nil, answering(200, nil, "{}")},
		"a redirect":        {t.Context(), nil, answering(302, http.Header{"Location": {"http://127.0.0.1:1/" + leak}}, leak)},
		"a wrong redirect":  {t.Context(), nil, answering(302, http.Header{"Location": {"http://[::" + leak}}, "")},
		"a wrong base":      {t.Context(), func(a *rest.API) { a.Base = "http://[::1/" + leak }, nil},
		"a relative base":   {t.Context(), func(a *rest.API) { a.Base = leak }, nil},
		"a base of nothing": {t.Context(), func(a *rest.API) { a.Base = "" }, nil},
		"a file for a base": {t.Context(), func(a *rest.API) { a.Base = "file:///" + leak }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := serve(t, tc.answer)
			if tc.change != nil {
				tc.change(&api)
			}
			err := api.Do(tc.ctx, http.MethodPost, "send?q=secret-query", message{}, &message{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, told := range []string{token, headerKey, "secret-query", "/send"} {
				if strings.Contains(err.Error(), told) || strings.Contains(handlers.Judge(err).Message, told) {
					t.Errorf("%q is told: %v", told, err)
				}
			}
			if !strings.Contains(err.Error(), "Acme") {
				t.Errorf("does not say whose it is: %v", err)
			}
		})
	}
}

func TestErrorsOfTheWayStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	api := serve(t, answering(200, nil, "{}"))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	err := api.Do(cancelled, http.MethodGet, "", nil, nil)
	if !errors.Is(err, context.Canceled) || handlers.Judge(err).Decision != handlers.Retry {
		t.Errorf("got %v", err)
	}
	if err := api.Do(t.Context(), http.MethodPost, "", func() {}, nil); err == nil || !strings.Contains(err.Error(), "encode request") {
		t.Errorf("got %v", err)
	}
	api.Base = "ftp://example.com"
	if err := api.Do(t.Context(), http.MethodGet, "", nil, nil); handlers.Judge(err).Decision != handlers.GiveUp {
		t.Errorf("got %v", err)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	large := `"` + strings.Repeat("a", 1<<20) + `"`
	err := serve(t, answering(200, nil, large)).Do(t.Context(), http.MethodGet, "", nil, new(string))
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
	err = serve(t, answering(400, nil, large)).Do(t.Context(), http.MethodGet, "", nil, nil)
	if !rest.HasStatus(err, 400) || len(err.Error()) > 1000 {
		t.Errorf("got %d bytes, status 400: %v", len(err.Error()), rest.HasStatus(err, 400))
	}
}

func TestRedirectsKeepHostAndMethod(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("was asked %s %s", r.Method, r.RequestURI)
	}))
	t.Cleanup(elsewhere.Close)
	for name, tc := range map[string]struct {
		method, location string
		status, want     int
	}{
		"elsewhere":             {"GET", elsewhere.URL, 302, 302},
		"a post becomes a get":  {"POST", "/there", 302, 302},
		"a post stays one":      {"POST", "/there", 307, 0},
		"moved on the same one": {"GET", "/there", 301, 0},
		"round and round":       {"GET", "/bot" + token, 301, 301},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/there" {
					w.Header().Set("Location", tc.location)
					w.WriteHeader(tc.status)
					return
				}
				if body, _ := io.ReadAll(r.Body); r.Method != tc.method || r.Method == "POST" && string(body) != `{"text":"a"}` {
					t.Errorf("got %s %s", r.Method, body)
				}
				_, _ = io.WriteString(w, "{}")
			})
			err := api.Do(t.Context(), tc.method, "", message{"a"}, &json.RawMessage{})
			if tc.want == 0 && err != nil || tc.want != 0 && !rest.HasStatus(err, tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
