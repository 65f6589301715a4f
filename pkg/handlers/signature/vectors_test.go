package signature_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/handlers/signature"
)

// vector is a request and its verdict: a [signature.Reason], or one of the two below.
type vector struct {
	ID      string          `json:"id"`
	Scheme  string          `json:"scheme,omitempty"`
	Spec    *signature.Spec `json:"spec,omitempty"`
	Secrets []string        `json:"secrets"`
	URL     string          `json:"url,omitempty"`
	Header  http.Header     `json:"header"`
	Body    string          `json:"body"`
	Now     time.Time       `json:"now"`
	Want    string          `json:"want"`
}

const (
	valid       = "valid"
	unbuildable = "unbuildable" // scheme or secrets are refused before any message
)

func (v vector) scheme(t *testing.T) signature.Scheme {
	t.Helper()
	if v.Spec != nil {
		return *v.Spec
	}
	scheme, ok := signature.Named(v.Scheme)
	if !ok {
		t.Fatalf("no scheme is named %q", v.Scheme)
	}
	return scheme
}

func (v vector) verdict(t *testing.T) string {
	t.Helper()
	verifier, err := v.scheme(t).Verifier(v.Secrets...)
	if err != nil {
		return unbuildable
	}
	return reason(t, verifier.Verify(signature.Message{Header: v.Header, Body: []byte(v.Body), URL: v.URL}, v.Now))
}

// reason is the class of a verifier's error, and valid of none.
func reason(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return valid
	}
	refused, ok := errors.AsType[*signature.Error](err)
	if !ok {
		t.Fatalf("a verifier's error is not a *signature.Error but %T: %v", err, err)
	}
	return string(refused.Reason)
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestOwnVectorsGetTheirVerdict(t *testing.T) {
	t.Parallel()
	var vectors []vector
	readJSON(t, "testdata/vectors.json", &vectors)
	counts := map[string]int{}
	for _, v := range vectors {
		counts[v.Want]++
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			if got := v.verdict(t); got != v.Want {
				t.Errorf("got %s, want %s", got, v.Want)
			}
		})
	}
	t.Logf("%d vectors: %v", len(vectors), counts)
}

// TestRecordedVectorsGetTheirVerdict runs official, recorded and derived requests that are not part of this repository.
func TestRecordedVectorsGetTheirVerdict(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("TOWPATH_TESTDATA")
	if dir == "" {
		t.Skip("TOWPATH_TESTDATA does not name the directory that holds vectors.json")
	}
	var recorded []struct {
		ID       string
		Platform string
		Secret   string
		Secrets  []string
		URL      string
		Headers  map[string]string
		Body     string
		Valid    bool
		Now      int64
		Scheme   struct {
			Header, Algo, Encoding, Prefix string
		}
	}
	readJSON(t, filepath.Join(dir, "vectors.json"), &recorded)
	perPlatform := map[string]int{}
	accepted := 0
	for _, r := range recorded {
		perPlatform[r.Platform]++
		if r.Valid {
			accepted++
		}
		t.Run(r.ID, func(t *testing.T) {
			t.Parallel()
			v := vector{Scheme: r.Platform, Secrets: r.Secrets, URL: r.URL, Header: http.Header{}, Body: r.Body, Now: time.Unix(r.Now, 0)}
			if v.Secrets == nil {
				v.Secrets = []string{r.Secret}
			}
			if r.Platform == "generic-hmac" {
				v.Spec = &signature.Spec{
					Algorithm: signature.Algorithm(r.Scheme.Algo),
					Header:    r.Scheme.Header,
					Encoding:  signature.Encoding(r.Scheme.Encoding),
					Prefix:    r.Scheme.Prefix,
				}
			}
			for name, value := range r.Headers {
				v.Header.Set(name, value)
			}
			if got := v.verdict(t); (got == valid) != r.Valid {
				t.Errorf("got %s, want valid: %t", got, r.Valid)
			}
		})
	}
	t.Logf("%d vectors, %d to accept, %d to refuse: %v", len(recorded), accepted, len(recorded)-accepted, perPlatform)
}
