package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/client"
)

// fill sets every field of an input to something that is awkward on the way.
func fill(v reflect.Value) {
	const awkward = `a/b?c=d&e#f %2F+"é` + "\n"
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 20, 10, 0, 0, 123456789, time.UTC)))
			return
		}
		for _, field := range v.Fields() {
			fill(field)
		}
	case reflect.String:
		v.SetString(awkward + v.Type().Name())
	case reflect.Int64, reflect.Int:
		v.SetInt(86_400_000)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("slack:channel.id [0]&"), reflect.ValueOf(awkward))
		v.SetMapIndex(reflect.ValueOf("b"), reflect.ValueOf(""))
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte(`{"n":12345678901234567890.10,"s":"é"}`))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	default:
		panic("no value for " + v.Type().String())
	}
}

func TestEveryInputArrivesAsItWasSent(t *testing.T) {
	t.Parallel()
	for _, operation := range client.Operations() {
		for name, filled := range map[string]bool{"full": true, "empty": false} {
			t.Run(operation.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				sent := operation.NewInput()
				if filled {
					fill(reflect.ValueOf(sent).Elem())
				} else {
					placeholders(reflect.ValueOf(sent).Elem())
				}
				var got any
				var failed error
				mux := http.NewServeMux()
				mux.HandleFunc(operation.Method+" "+operation.Path, func(w http.ResponseWriter, r *http.Request) {
					got, failed = client.DecodeInput(operation, r.PathValue, r.URL.Query(), r.Body)
					_, _ = io.WriteString(w, "{}")
				})
				server := httptest.NewServer(mux)
				defer server.Close()
				backend := &client.HTTP{BaseURL: server.URL + "/", Token: "t", Client: server.Client()}
				call := client.Call{Operation: operation, Caller: client.Caller{BotID: "demo"}}
				if err := errors.Join(backend.Do(t.Context(), call, sent, operation.NewOutput()), failed); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(asJSON(t, sent), asJSON(t, got)); diff != "" {
					t.Errorf("input (-sent +arrived):\n%s", diff)
				}
			})
		}
	}
}

// placeholders sets what stands in the path, which cannot be empty.
func placeholders(v reflect.Value) {
	for field, value := range v.Fields() {
		if field.Tag.Get("in") == "path" {
			value.SetString("x")
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestARequestSaysWhoAsks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		caller client.Caller
		want   map[string]string
	}{
		"a bot": {client.Caller{BotID: "demo"}, map[string]string{
			"Authorization": "Bearer secret", "X-Bot-Id": "demo", "X-Integration-Id": "", "X-Integration-Alias": "", "Idempotency-Key": "",
		}},
		"an integration": {client.Caller{BotID: "demo", IntegrationID: "intver_1", Alias: "slack"}, map[string]string{
			"Authorization": "Bearer secret", "X-Bot-Id": "demo", "X-Integration-Id": "intver_1", "X-Integration-Alias": "slack",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := map[string]string{}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for header := range test.want {
					got[header] = r.Header.Get(header)
				}
				_, _ = io.WriteString(w, "{}")
			}))
			defer server.Close()
			c := client.New(&client.HTTP{BaseURL: server.URL, Token: "secret", Client: server.Client()}, test.caller)
			if _, err := c.GetUser(t.Context(), "u"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAnswerThatIsNoSuccessIsAnError(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		want   client.ErrorType
	}{
		"error body":  {404, `{"id":"err_1","code":404,"type":"ResourceNotFound","message":"User \"u\" not found"}`, client.ResourceNotFound},
		"a proxy's":   {502, `<html>Bad Gateway</html>`, client.Unknown},
		"other JSON":  {500, `{"error":"x"}`, client.Unknown},
		"a new type":  {418, `{"id":"err_1","code":418,"type":"Teapot","message":"m"}`, "Teapot"},
		"nothing":     {503, ``, client.Unknown},
		"redirection": {304, ``, client.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer server.Close()
			_, err := client.New(&client.HTTP{BaseURL: server.URL, Client: server.Client()}, client.Caller{}).GetUser(t.Context(), "u")
			fault, ok := errors.AsType[*client.Error](err)
			if !ok || fault.Type != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestAnAnswerThatIsNoJSONIsAnError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	c := client.New(&client.HTTP{BaseURL: server.URL, Client: server.Client()}, client.Caller{})
	if _, err := c.GetUser(t.Context(), "u"); err == nil || !strings.Contains(err.Error(), "decode answer") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.GetUser(ctx, "u"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestWhatCannotBeDecodedNamesTheField(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		operation, query, body string
		want                   client.ErrorType
		says                   string
	}{
		"cut off":       {operation: "createUser", body: `{"tags":{`, want: client.InvalidPayload, says: "request body"},
		"number as tag": {operation: "createUser", body: `{"tags":{"a":1}}`, want: client.InvalidPayload, says: "tags"},
		"string as int": {operation: "setState", body: `{"payload":{},"expiry":"1"}`, want: client.InvalidPayload, says: "expiry"},
		"no date":       {operation: "reportReceipt", body: `{"at":"soon"}`, want: client.InvalidPayload, says: "soon is no date of RFC 3339"},
		"fraction":      {operation: "setState", body: `{"payload":{},"expiry":1.5}`, want: client.InvalidPayload, says: "expiry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query, err := url.ParseQuery(test.query)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.DecodeInput(row(t, test.operation), func(string) string { return "x" }, query, strings.NewReader(test.body))
			fault, ok := errors.AsType[*client.Error](err)
			if !ok || fault.Type != test.want || !strings.Contains(fault.Message, test.says) {
				t.Errorf("error %v, want %s about %s", err, test.want, test.says)
			}
		})
	}
}

func row(t *testing.T, name string) *client.Operation {
	t.Helper()
	for _, operation := range client.Operations() {
		if operation.Name == name {
			return operation
		}
	}
	t.Fatalf("no operation %s", name)
	return nil
}

func FuzzDecodeInput(f *testing.F) {
	f.Add(uint8(0), "id", "", `{"type":"slack:sendMessage","input":{}}`)
	f.Add(uint8(5), "", "tags.slack%3Aid=C%201&tags.title=a&nextToken=tok%3D%3D", "")
	f.Add(uint8(8), "", "conversationId=x&conversationId=y&tags.=&tags", "")
	f.Add(uint8(10), "a/b", "", `{"tags":{"a":null},"payload":null,"id":"other"}`)
	f.Add(uint8(12), "é", "%zz", `{"payload":[1e400],"expiry":9223372036854775808}`)
	f.Add(uint8(14), "", "", "\xff{}")
	f.Fuzz(func(t *testing.T, n uint8, value, rawQuery, body string) {
		operations := client.Operations()
		operation := operations[int(n)%len(operations)]
		query, _ := url.ParseQuery(rawQuery)
		in, err := client.DecodeInput(operation, func(string) string { return value }, query, strings.NewReader(body))
		if err != nil {
			if _, ok := errors.AsType[*client.Error](err); !ok {
				t.Fatalf("%s: an error that callers are not told: %v", operation.Name, err)
			}
			return
		}
		if got, want := reflect.TypeOf(in), reflect.TypeOf(operation.NewInput()); got != want {
			t.Fatalf("%s: input of type %s, want %s", operation.Name, got, want)
		}
		if _, err := json.Marshal(in); err != nil {
			t.Fatalf("%s: decoded what cannot be encoded: %v", operation.Name, err)
		}
	})
}
