package fake_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/handlers/fake"
)

// start serves a fake on loopback with a small API at /slack.
func start(t *testing.T) (*fake.Server, string, *atomic.Int64) {
	t.Helper()
	s, acted := fake.New(), new(atomic.Int64)
	s.Mount("/slack", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		acted.Add(1)
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/api/refuse":
			fake.Refuse(r)
			_, _ = io.WriteString(w, `{"ok":false}`)
		case "/api/bad":
			w.WriteHeader(http.StatusBadRequest)
		case "/api/panic":
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("X-Saw", r.URL.Path)
			_, _ = w.Write(body)
		}
	}))
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	t.Cleanup(s.Close) // first, so that hanging requests do not hold the server
	return s, srv.URL, acted
}

// do sends on a connection of its own, so that no client retries in secret.
func do(ctx context.Context, method, url, body string) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Close = true
	req.Header.Set("Authorization", "Bearer SECRET")
	req.Header.Set("Content-Type", "text/x")
	res, err := new(http.Client).Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	return res, string(got), err
}

func ask(t *testing.T, method, url, body string) (*http.Response, string) {
	t.Helper()
	res, got, err := do(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return res, got
}

// summary is what the tests compare of the recorded requests.
func summary(requests []fake.Request) []string {
	var out []string
	for _, r := range requests {
		out = append(out, fmt.Sprint(r.Method, " ", r.Path, " ", r.Body, " ", r.Accepted))
	}
	return out
}

func TestRecordsWhatArrivesAndWhetherItWasTaken(t *testing.T) {
	t.Parallel()
	s, url, _ := start(t)
	if res, body := ask(t, "POST", url+"/slack/api/post?x=1", "hi"); body != "hi" || res.Header.Get("X-Saw") != "/api/post" {
		t.Errorf("the API answered %q to %q", body, res.Header.Get("X-Saw"))
	}
	ask(t, "POST", url+"/slack/api/refuse", "")
	ask(t, "POST", url+"/slack/api/bad", "")
	ask(t, "GET", url+"/slackish", "")
	if _, _, err := do(t.Context(), "POST", url+"/slack/api/panic", ""); err == nil {
		t.Error("a panicking API answered")
	}
	if res, _ := ask(t, "POST", url+"/slack/large", strings.Repeat("x", 10<<20+1)); res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body gives %d", res.StatusCode)
	}
	want := []string{"POST /slack/api/post?x=1 hi true", "POST /slack/api/refuse  false", "POST /slack/api/bad  false", "GET /slackish  false", "POST /slack/api/panic  false", "POST /slack/large  false"}
	if diff := cmp.Diff(want, summary(s.Requests())); diff != "" {
		t.Error(diff)
	}

	if _, list := ask(t, "GET", url+"/_requests", ""); strings.Contains(list, "headers") {
		t.Errorf("headers are shown unasked: %s", list)
	}
	_, list := ask(t, "GET", url+"/_requests?headers=true", "")
	var raw []map[string]any
	if err := json.Unmarshal([]byte(list), &raw); err != nil || len(raw) != len(want) {
		t.Fatalf("%v in %s", err, list)
	}
	when, _ := raw[0]["time"].(string)
	if _, err := time.Parse(time.RFC3339Nano, when); err != nil {
		t.Error(err)
	}
	delete(raw[0], "time")
	wantRaw := map[string]any{"method": "POST", "path": "/slack/api/post?x=1", "body": "hi", "accepted": true, "headers": map[string]any{"content-type": "text/x"}}
	if diff := cmp.Diff(wantRaw, raw[0]); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(list, "SECRET") {
		t.Error("an authorization is recorded")
	}
	ask(t, "DELETE", url+"/_requests", "")
	if _, list := ask(t, "GET", url+"/_requests", ""); list != "[]\n" {
		t.Errorf("after clearing: %s", list)
	}
}

func TestOrderHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	s, url, _ := start(t)
	const senders, each = 8, 50
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for i := range each {
				if _, _, err := do(t.Context(), "POST", url+"/slack/"+string(rune('a'+sender)), fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := s.Requests()
	if len(got) != senders*each {
		t.Fatalf("%d requests are recorded", len(got))
	}
	next := map[string]int{}
	for i, r := range got {
		if r.Body != fmt.Sprint(next[r.Path]) || !r.Accepted {
			t.Errorf("%s: got %+v, want body %d, accepted", r.Path, r, next[r.Path])
		}
		next[r.Path]++
		if i > 0 && r.Time.Before(got[i-1].Time) {
			t.Errorf("request %d is older than the one before", i)
		}
	}
}

func TestAReaderFollowsWithSinceAndWait(t *testing.T) {
	t.Parallel()
	s, url, _ := start(t)
	ask(t, "POST", url+"/slack/a", "1")
	res, _ := ask(t, "GET", url+"/_requests", "")
	since := res.Header.Get(fake.NextHeader)
	s.Forget() // does not confuse who is reading on

	type answer struct {
		list, next string
	}
	answers := make(chan answer, 1)
	go func() {
		res, list, err := do(t.Context(), "GET", url+"/_requests?path=/slack/b*&wait=30s&settled=true&since="+since, "")
		if err != nil {
			t.Error(err)
			answers <- answer{}
			return
		}
		answers <- answer{list, res.Header.Get(fake.NextHeader)}
	}()
	ask(t, "POST", url+"/slack/a", "2")
	ask(t, "POST", url+"/slack/bee", "3")
	got := <-answers
	if !strings.Contains(got.list, `"body":"3"`) || strings.Contains(got.list, `"body":"2"`) || got.next != "3" {
		t.Errorf("read %+v", got)
	}
	if _, list := ask(t, "GET", url+"/_requests?wait=1ms&since=3", ""); list != "[]\n" {
		t.Errorf("a wait that is over gives %s", list)
	}
	for _, bad := range []string{"since=-1", "since=x", "wait=x", "settled=x"} {
		if res, _ := ask(t, "GET", url+"/_requests?"+bad, ""); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s gives %d", bad, res.StatusCode)
		}
	}
}

func TestCloseEndsWaitingReadersAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	s, url, _ := start(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = do(context.Background(), "GET", url+"/_requests?wait=60s", "")
	}()
	s.Close()
	<-done
	if res, _ := ask(t, "GET", url+"/_requests", ""); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a closed fake gives %d", res.StatusCode)
	}
}

func TestMountPanicsOnBadPrefixes(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/", "slack", "/slack/", "/_slack", "/taken"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("mounted at %q", prefix)
				}
			}()
			s := fake.New()
			s.Mount("/taken", http.NotFoundHandler())
			s.Mount(prefix, http.NotFoundHandler())
		}()
	}
}
