package shopify_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/shopify"
)

func TestVerifyRefusesWhatWasTamperedWith(t *testing.T) {
	t.Parallel()
	const name = "X-Shopify-Hmac-Sha256"
	for what, tamper := range map[string]func(*events.Request){
		"one byte of the body":    func(r *events.Request) { r.Body[20] ^= 1 },
		"an empty body":           func(r *events.Request) { r.Body = nil },
		"no signature":            func(r *events.Request) { r.Header.Del(name) },
		"an empty signature":      func(r *events.Request) { r.Header.Set(name, "") },
		"two signatures":          func(r *events.Request) { r.Header.Add(name, "AAAA") },
		"signatures of both ages": func(r *events.Request) { r.Header.Set("Shopify-Hmac-Sha256", r.Header.Get(name)) },
		"a short signature":       func(r *events.Request) { r.Header.Set(name, base64.StdEncoding.EncodeToString([]byte("short"))) },
		"another store":           func(r *events.Request) { r.Header.Set("X-Shopify-Shop-Domain", "other.myshopify.com") },
		"a store's namesake":      func(r *events.Request) { r.Header.Set("X-Shopify-Shop-Domain", "acme.myshopify.com.example") },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			i := install(t, "")
			r := i.sample(t, "orders/create", sampleArgs())
			if err := i.Verify(r, now); err != nil {
				t.Fatalf("untouched: %v", err)
			}
			tamper(r)
			if err := i.Verify(r, now); err == nil {
				t.Error("was accepted")
			}
		})
	}
}

func TestVerifyTakesTheNewerHeaders(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	r := i.sample(t, "orders/create", sampleArgs())
	newer := &events.Request{Method: r.Method, Path: r.Path, Body: r.Body, Header: http.Header{}}
	for name := range r.Header {
		if rest, ok := cutPrefix(name); ok {
			newer.Header.Set("Shopify-"+rest, r.Header.Get(name))
		}
	}
	parts, err := i.receive(t.Context(), newer)
	if err != nil {
		t.Fatal(err)
	}
	if parts[0].ID != "0TEST1" || len(i.recorder.asked("createEvent")) != 1 {
		t.Errorf("parts %+v, calls %v", parts, i.recorder.calls)
	}
	newer.Header.Set("Shopify-Shop-Domain", "other.myshopify.com")
	if err := i.Verify(newer, now); err == nil {
		t.Error("another store was accepted")
	}
}

func cutPrefix(name string) (string, bool) {
	const prefix = "X-Shopify-"
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):], true
	}
	return "", false
}

func TestEverySampleIsSignedWithTheCurrentSecret(t *testing.T) {
	t.Parallel()
	for _, secrets := range []any{"current", []string{"next", "current"}} {
		installed := configure(t, map[string]any{"shopName": "acme.myshopify.com", "clientSecret": secrets})
		for name := range shopify.Integration.Samples {
			if err := installed.Verify(install(t, "").sample(t, name, sampleArgs()), now); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// vector is a signed request with the verdict it deserves.
type vector struct {
	ID       string            `json:"id"`
	Platform string            `json:"platform"`
	Secret   string            `json:"secret"`
	Method   string            `json:"method"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Now      int64             `json:"now"`
	Valid    bool              `json:"valid"`
	Note     string            `json:"note"`
}

func TestVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(testData(t), "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		if v.Platform != "shopify" {
			continue
		}
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			r := &events.Request{Method: v.Method, Path: "/", Header: http.Header{}, Body: []byte(v.Body)}
			shop := "acme"
			for name, value := range v.Headers {
				r.Header.Set(name, value)
				if http.CanonicalHeaderKey(name) == "X-Shopify-Shop-Domain" || http.CanonicalHeaderKey(name) == "Shopify-Shop-Domain" {
					shop = value
				}
			}
			err := configure(t, map[string]any{"shopName": shop, "clientSecret": v.Secret}).Verify(r, time.Unix(v.Now, 0))
			if (err == nil) != v.Valid {
				t.Errorf("got %v, want valid: %v (%s)", err, v.Valid, v.Note)
			}
		})
	}
}

// testData is the folder of sample data that is too large to be committed.
func testData(tb testing.TB) string {
	tb.Helper()
	folder := os.Getenv("TOWPATH_TESTDATA")
	if folder == "" {
		tb.Skip("TOWPATH_TESTDATA is not set: it names the folder with vectors.json and payloads/")
	}
	return folder
}
