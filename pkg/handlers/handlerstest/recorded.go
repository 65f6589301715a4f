package handlerstest

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// updateVariable set to 1 lets [Definition] write its file anew.
const updateVariable = "UPDATE_GOLDEN"

// Definition compares the integration's definition with the one in a JSON file
// that is committed with it, so that no change of what bots rely on goes
// unseen. Run with UPDATE_GOLDEN=1, it writes the file.
func Definition(t *testing.T, integration handlers.Registrable, golden string) {
	t.Helper()
	definition, err := integration.Definition()
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(definition, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(updateVariable) == "1" {
		if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v: run with %s=1 to write it", err, updateVariable)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("definition (-golden +now), run with %s=1 if it is meant:\n%s", updateVariable, diff)
	}
}

// Samples sends every sample the whole way: each must be accepted, and handled
// or answered as a handshake, and the same one twice must be one delivery.
func Samples(t *testing.T, k *Kit) {
	t.Helper()
	for _, name := range k.Definition.Samples {
		first := k.With(t).Webhook(k.With(t).Sample(name, handlers.SampleArgs{}))
		if first.Refused != nil || first.Err != nil {
			t.Errorf("sample %s: refused: %v, failed: %v", name, first.Refused, first.Err)
			continue
		}
		again := k.With(t).Webhook(k.With(t).Sample(name, handlers.SampleArgs{}))
		for i, part := range again.Parts {
			if part.DeliveryID != first.Parts[i].DeliveryID || part.Key != first.Parts[i].Key {
				t.Errorf("sample %s: part %d is %+v and then %+v", name, i, first.Parts[i].Part, part.Part)
			}
		}
	}
}

// Data is the folder of recorded requests that are too large to be committed;
// the test is skipped where there is none.
func Data(tb testing.TB) string {
	tb.Helper()
	folder := os.Getenv("TOWPATH_TESTDATA")
	if folder == "" {
		tb.Skip("TOWPATH_TESTDATA is not set: it names the folder with vectors.json and payloads/")
	}
	return folder
}

// Payload is a recorded body out of [Data].
func Payload(tb testing.TB, file string) []byte {
	tb.Helper()
	body, err := os.ReadFile(filepath.Join(Data(tb), "payloads", file))
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// Vector is a recorded request with the verdict that it deserves.
type Vector struct {
	ID       string            `json:"id"`
	Platform string            `json:"platform"`
	Secret   string            `json:"secret"`
	Method   string            `json:"method"`
	URL      string            `json:"url"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Now      int64             `json:"now"` // seconds since 1970
	Valid    bool              `json:"valid"`
	Note     string            `json:"note"`
}

// Request is the vector's request.
func (v Vector) Request() *events.Request {
	r := &events.Request{Method: v.Method, Path: "/", Header: http.Header{}, Body: []byte(v.Body)}
	for name, value := range v.Headers {
		r.Header.Set(name, value)
	}
	return r
}

// Vectors holds the verification of a platform to the recorded requests in
// [Data]. Configure returns the configuration, in JSON, that a vector is to be
// verified with.
func Vectors(t *testing.T, integration handlers.Registrable, configure func(Vector) string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(Data(t), "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []Vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	definition, err := integration.Definition()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, v := range all {
		if v.Platform != definition.Name {
			continue
		}
		found = true
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			installed, err := integration.Configure(json.RawMessage(configure(v)))
			if err != nil {
				t.Fatal(err)
			}
			if err := installed.Verify(v.Request(), time.Unix(v.Now, 0)); (err == nil) != v.Valid {
				t.Errorf("got %v, want valid: %v (%s)", err, v.Valid, v.Note)
			}
		})
	}
	if !found {
		t.Errorf("there are no vectors of %s", definition.Name)
	}
}
