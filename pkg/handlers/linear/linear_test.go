package linear_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/linear"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	apiKey        = "lin_api_not-to-be-seen"
	signingSecret = "lin_wh_not-to-be-seen"
	issueID       = "539068e2-ae88-4d09-bd75-22eb4a59612f"
	userID        = "aacdca22-6266-4c0a-ab3c-8fa70a26765c"
)

const configuration = `{"apiKey":"` + apiKey + `","webhookSigningSecret":["` + signingSecret + `","previous-secret"],"apiUrl":"${FAKE}/graphql"}`

func install(tb testing.TB) *handlerstest.Kit {
	tb.Helper()
	return handlerstest.New(tb, linear.Integration, configuration)
}

func sampleArgs() handlers.SampleArgs {
	return handlers.SampleArgs{ID: "0TEST1", Text: "Too **short**", Conversation: issueID, User: userID}
}

// post is an unsigned delivery.
func post(body string) *events.Request {
	return &events.Request{Method: http.MethodPost, Path: "/", Body: []byte(body), Header: http.Header{
		"Content-Type": {"application/json"}, "Linear-Delivery": {"234d1a4e-b617-4388-90fe-adc3633d6b72"},
	}}
}

func TestDefinitionIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	handlerstest.Definition(t, linear.Integration, "testdata/definition.json")
}

func TestSamplesAreAccepted(t *testing.T) {
	t.Parallel()
	handlerstest.Samples(t, install(t))
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Misconfigured(t, linear.Integration, map[string]string{
		"no API key":               `{"webhookSigningSecret":"s"}`,
		"an empty API key":         `{"apiKey":"","webhookSigningSecret":"s"}`,
		"no signing secret":        `{"apiKey":"k"}`,
		"no tolerance at all":      `{"apiKey":"k","webhookSigningSecret":"s","toleranceSeconds":0}`,
		"a negative tolerance":     `{"apiKey":"k","webhookSigningSecret":"s","toleranceSeconds":-1}`,
		"more than a day":          `{"apiKey":"k","webhookSigningSecret":"s","toleranceSeconds":86401}`,
		"a field that is no field": `{"apiKey":"k","webhookSigningSecret":"s","team":"LIN"}`,
	})
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Refusals(t, install(t), handlerstest.Scheme{
		Sample: "issueCreated", Header: "Linear-Signature", Secret: "webhookSigningSecret", Tolerance: time.Minute,
	})
}

func TestVectors(t *testing.T) {
	t.Parallel()
	handlerstest.Vectors(t, linear.Integration, func(v handlerstest.Vector) string {
		encoded, err := json.Marshal(map[string]string{"apiKey": "k", "webhookSigningSecret": v.Secret})
		if err != nil {
			t.Error(err)
		}
		return string(encoded)
	})
}

func TestToleranceIsAsConfigured(t *testing.T) {
	t.Parallel()
	kit := handlerstest.New(t, linear.Integration, `{"apiKey":"k-12345678","webhookSigningSecret":"s-12345678","toleranceSeconds":25000}`)
	r := kit.Sample("issueCreated", handlers.SampleArgs{})
	for age, ok := range map[time.Duration]bool{
		24_999 * time.Second: true, 25_001 * time.Second: false, -59 * time.Second: true, -61 * time.Second: false,
	} {
		if err := kit.Installed.Verify(r, handlerstest.Now.Add(age)); (err == nil) != ok {
			t.Errorf("after %s: %v, want accepted: %v", age, err, ok)
		}
	}
}

func TestUnsignedTimeIsNotLookedAt(t *testing.T) {
	t.Parallel()
	kit := install(t)
	r := kit.Sample("issueCreated", handlers.SampleArgs{})
	later := handlerstest.Now.Add(time.Hour)
	r.Header.Set("Linear-Timestamp", "1795257000123")
	if err := kit.Installed.Verify(r, later); err == nil {
		t.Error("an old body with a new header was accepted")
	}
}
