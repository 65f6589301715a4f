package open_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/open"
)

func read(t *testing.T, media, body string) open.Content {
	t.Helper()
	content, err := open.Read(&events.Request{Header: http.Header{"Content-Type": {media}}, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestAPathLeadsToWhatCanBeAName(t *testing.T) {
	t.Parallel()
	body := read(t, "application/json", `{"id":820982911946154508,"a":{"b.c":"dotted","d/e":"slashed","":"unnamed"},"list":[{"id":"first"}],"yes":true,"no":null,"o":{}}`)
	for path, want := range map[open.Path]string{
		"id": "820982911946154508", "a.b.c": "", "/a/b.c": "dotted", "/a/d~1e": "slashed", "/a/": "unnamed", "list.0.id": "first",
		"/list/0/id": "first", "list.1.id": "", "list.-1.id": "", "list.id": "", "yes": "true", "no": "", "o": "", "a": "", "id.x": "", "": "",
	} {
		if got := path.In(body); got != want {
			t.Errorf("%s leads to %q, want %q", path, got, want)
		}
	}
}

func TestAFormIsAnObjectOfItsFields(t *testing.T) {
	t.Parallel()
	body := read(t, "application/x-www-form-urlencoded; charset=utf-8", "a=1&b=x%26y&b=z")
	for path, want := range map[open.Path]string{"a": "1", "b.0": "x&y", "b.1": "z", "b": ""} {
		if got := path.In(body); got != want {
			t.Errorf("%s leads to %q, want %q", path, got, want)
		}
	}
}

func TestWhatIsNeitherIsRefused(t *testing.T) {
	t.Parallel()
	for body, media := range map[string]string{
		"": "application/json", "<a/>": "text/xml", "{} {}": "application/json", "a=%zz": "application/x-www-form-urlencoded",
	} {
		if _, err := open.Read(&events.Request{Header: http.Header{"Content-Type": {media}}, Body: []byte(body)}); err == nil {
			t.Errorf("%q was read", body)
		}
	}
}

func TestALongNameIsToldByItsHash(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 257)
	one := open.Path("id").In(read(t, "", `{"id":"`+long+`"}`))
	other := open.Source{Header: "X-Id"}.Of(http.Header{"X-Id": {long}}, open.Content{})
	if !strings.HasPrefix(one, "sha256:") || len(one) > 80 || one != other {
		t.Errorf("got %q and %q", one, other)
	}
}

func TestPathsThatLeadNowhereAreRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{`""`, `"."`, `"a."`, `".a"`, `"a..b"`, `7`} {
		var p open.Path
		if err := json.Unmarshal([]byte(path), &p); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
}

func TestPutMakesTheWay(t *testing.T) {
	t.Parallel()
	object := map[string]any{"a": 1}
	open.Path("a.b").Put(object, "x")
	open.Path("/c/d.e").Put(object, "y")
	want := map[string]any{"a": map[string]any{"b": "x"}, "c": map[string]any{"d.e": "y"}}
	if diff := cmp.Diff(want, object); diff != "" {
		t.Error(diff)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("application/json", `{"a":[{"b":1}]}`, "a.0.b")
	f.Add("application/x-www-form-urlencoded", `a=1&a=2`, "/a/1")
	f.Add("", `[[[["`, "0.0.0")
	f.Fuzz(func(t *testing.T, media, body, path string) {
		r := &events.Request{Header: http.Header{"Content-Type": {media}}, Body: []byte(body)}
		content, err := open.Read(r)
		if err != nil {
			return
		}
		if found := open.Path(path).In(content); len(found) > 256 {
			t.Errorf("a name of %d bytes", len(found))
		}
	})
}
