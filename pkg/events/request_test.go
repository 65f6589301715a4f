package events_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/towpath/towpath/pkg/events"
)

func TestRequestIsStoredInBotpressShapeWithoutSecrets(t *testing.T) {
	t.Parallel()
	request := &events.Request{
		Method: "POST", Path: "/sub", Query: "a=1", Body: []byte(`{"n":820982911946154508}`),
		Header: http.Header{
			"Content-Type": {"application/json"}, "X-Two": {"a", "b"},
			"Authorization": {"Bearer s3cret"}, "X-Slack-Signature": {"v0=s3cret"}, "Cookie": {"s3cret"},
			"X-Telegram-Bot-Api-Secret-Token": {"s3cret"}, "X-Shopify-Hmac-Sha256": {"s3cret"}, "X-Api-Key": {"s3cret"},
		},
	}
	all := request.Header.Clone()
	data, err := json.Marshal(request.Redacted())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, request.Header); diff != "" {
		t.Fatalf("redacting changed the original (-want +got):\n%s", diff)
	}
	want := `{"method":"POST","path":"/sub","query":"a=1","headers":{"content-type":"application/json","x-two":"a, b"},` +
		`"body":"{\"n\":820982911946154508}"}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Fatalf("stored (-want +got):\n%s", diff)
	}
	if strings.Contains(string(data), "s3cret") {
		t.Fatal("a secret is stored")
	}
}

func TestRequestComesBackWithWhatItsHandlerVerifies(t *testing.T) {
	t.Parallel()
	request := &events.Request{
		Method: "POST", Path: "/", Body: []byte("{}"),
		Header: http.Header{"X-Hub-Signature-256": {"sha256=00"}, "Authorization": {"Bearer token"}},
	}
	data, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var back events.Request
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*request, back); diff != "" {
		t.Fatalf("came back (-want +got):\n%s", diff)
	}
}

func TestRequestBodyOfAnyBytesComesBack(t *testing.T) {
	t.Parallel()
	for _, body := range [][]byte{nil, []byte("text"), []byte("Ünï"), {0xff, 0x00, 0xfe}, {}} {
		data, err := json.Marshal(&events.Request{Method: "POST", Path: "/", Body: body})
		if err != nil {
			t.Fatal(err)
		}
		var back events.Request
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.Body, body) {
			t.Errorf("%q came back as %q", body, back.Body)
		}
	}
}

func FuzzRequestUnmarshal(f *testing.F) {
	f.Add([]byte(`{"method":"POST","path":"/","query":"","headers":{"a":"b"},"body":"c"}`))
	f.Add([]byte(`{"bodyBase64":"//8="}`))
	f.Add([]byte(`{"bodyBase64":"?"}`))
	f.Add([]byte(`{"headers":{"\u0000":"x"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var request events.Request
		if json.Unmarshal(data, &request) != nil {
			return
		}
		if _, err := json.Marshal(&request); err != nil {
			t.Fatalf("read but not writable: %v", err)
		}
	})
}

func TestIDs(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_795_000_000_123)
	if first, again := events.DeliveryID("w1", "Ev1"), events.DeliveryID("w1", "Ev1"); first != again {
		t.Error("one delivery has two ids")
	}
	if events.DeliveryID("w1", "Ev1") == events.DeliveryID("w1E", "v1") {
		t.Error("two deliveries have one id")
	}
	first, later := events.EffectID("msg", at, "a"), events.EffectID("msg", at.Add(time.Millisecond), "a")
	if first >= later {
		t.Error("ids do not sort by time")
	}
	if first == events.EffectID("msg", at, "b") {
		t.Error("two effects have one id")
	}
	if got, ok := events.TimeOf(first); !ok || !got.Equal(at) {
		t.Errorf("time of %s is %v, %v", first, got, ok)
	}
	for _, id := range []string{"", "msg_", "dlv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "msg_not-a-ulid-not-a-ulid-not"} {
		if _, ok := events.TimeOf(id); ok {
			t.Errorf("%q has a time", id)
		}
	}
	if length := len(events.NewID("conv")); length < 28 || length > 36 {
		t.Errorf("an id has %d characters, Botpress takes 28 to 36", length)
	}
	one, two := events.TraceParent("dlv_1", 1), events.TraceParent("dlv_1", 2)
	if one == two || events.TraceID(one) != events.TraceID(two) || len(events.TraceID(one)) != 32 {
		t.Errorf("attempts of a delivery are traced as %s and %s", one, two)
	}
	if events.TraceID("nonsense") != "" {
		t.Error("nonsense has a trace id")
	}
}

func TestOperationsAreToldFromEvents(t *testing.T) {
	t.Parallel()
	if operation, ok := events.OperationOf("towpath.message_created"); !ok || operation != events.MessageCreated {
		t.Errorf("got %q, %v", operation, ok)
	}
	for _, typ := range []string{"slack:reactionAdded", "message_created", "towpath.", ""} {
		if operation, ok := events.OperationOf(typ); ok {
			t.Errorf("%q is operation %q", typ, operation)
		}
	}
}

// colour is one of two words, which its schema says.
type colour string

// JSONSchema implements events.Titled.
func (colour) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Enum: []any{"red", "blue"}}
}

func TestATypeBringsItsOwnSchema(t *testing.T) {
	t.Parallel()
	type payload struct {
		Colour  colour   `json:"colour"`
		Colours []colour `json:"colours,omitempty"`
	}
	schema, err := events.ClosedSchema[payload]()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(schema), `{"type":"string","enum":["red","blue"]}`); n != 2 {
		t.Errorf("the enumeration stands %d times in %s", n, schema)
	}
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	type item struct {
		ID int64 `json:"id"`
	}
	type payload struct {
		Order int64           `json:"order"`
		Note  *string         `json:"note"`
		Extra string          `json:"extra,omitempty"`
		At    time.Time       `json:"at"`
		Raw   json.RawMessage `json:"raw"`
		Items []item          `json:"items"`
		Tags  map[string]int  `json:"tags"`
	}
	closed, err := events.ClosedSchema[payload]()
	if err != nil {
		t.Fatal(err)
	}
	open, err := events.OpenSchema[payload]()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(closed), `"additionalProperties":false`) != 2 {
		t.Errorf("a closed schema lets unknown fields in: %s", closed)
	}
	if strings.Contains(string(open), `"additionalProperties":false`) || !strings.Contains(string(open), `"additionalProperties":{"type":"integer"}`) {
		t.Errorf("an open schema is closed, or its map lost its values: %s", open)
	}
	for _, want := range []string{`"order":{"type":"integer"}`, `"note":{"type":["null","string"]}`, `"at":{"type":"string","format":"date-time"}`, `"raw":true`} {
		if !strings.Contains(string(open), want) {
			t.Errorf("%s is missing in %s", want, open)
		}
	}
}
