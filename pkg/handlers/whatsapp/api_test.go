package whatsapp_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/whatsapp"
)

// What Meta answers decides what becomes of a message, by its code and not by
// the status.
func TestErrorsOfWhatsApp(t *testing.T) {
	t.Parallel()
	type expected struct {
		rule  fake.Rule
		want  handlers.Decision
		after time.Duration
		told  string
	}
	refused := func(code int) fake.Rule { return whatsapp.Refusal(code, fmt.Sprintf("(#%d) Meta's own words", code)) }
	limited := refused(80007)
	limited.Headers = map[string]string{"X-Business-Use-Case-Usage": `{"102290129340398":[{"type":"messaging","call_count":100,"estimated_time_to_regain_access":7},
		{"type":"whatsapp","estimated_time_to_regain_access":19}],"1":[{"estimated_time_to_regain_access":0}]}`}
	told := refused(4)
	told.Status, told.Headers = 429, map[string]string{"Retry-After": "17"}
	pair := refused(131056)
	pair.Headers = map[string]string{"Retry-After": "64"}
	pair.Status = 429
	cases := map[string]expected{
		"too many requests":               {fake.Rule{Status: 429, Headers: map[string]string{"Retry-After": "17"}}, handlers.Retry, 17 * time.Second, ""},
		"a limit in minutes":              {limited, handlers.Retry, 19 * time.Minute, ""},
		"a limit with Retry-After":        {told, handlers.Retry, 17 * time.Second, ""},
		"a pair's limit with Retry-After": {pair, handlers.Retry, 64 * time.Second, ""},
		"the pair's limit":                {refused(131056), handlers.Retry, 6 * time.Second, ""},
		"maintenance":                     {refused(131057), handlers.Retry, time.Minute, ""},
		"registered too often":            {refused(133016), handlers.Retry, time.Hour, ""},
		"broken":                          {fake.Rule{Status: 500, Body: "<html>"}, handlers.Retry, 0, ""},
		"unavailable":                     {fake.Rule{Status: 503}, handlers.Retry, 0, ""},
		"connection reset":                {fake.Rule{Reset: true}, handlers.Retry, 0, ""},
		"answer lost":                     {fake.Rule{AfterAccept: true}, handlers.Retry, 0, ""},
		"no JSON":                         {fake.Rule{Status: 200, Body: "ok"}, handlers.Retry, 0, ""},
		"nothing of Meta's":               {fake.Rule{Status: 200, Body: "{}"}, handlers.Retry, 0, ""},
		"a code that is new":              {refused(199999), handlers.GiveUp, 0, "Meta's own words"},
		"a gateway's own error":           {fake.Rule{Status: 502, Body: `{"error":"Bad Gateway"}`}, handlers.Retry, 0, ""},
		"an error without a code":         {fake.Rule{Status: 502, Body: `{"error":{"message":"x"}}`}, handlers.Retry, 0, ""},
		"a code of null":                  {fake.Rule{Status: 502, Body: `{"error":{"code":null}}`}, handlers.Retry, 0, ""},
		"a code that is a text":           {fake.Rule{Status: 502, Body: `{"error":{"code":"2"}}`}, handlers.Retry, 0, ""},
		"400 without a code":              {fake.Rule{Status: 400, Body: `{"error":{"message":"some words"}}`}, handlers.GiveUp, 0, "some words"},
		"401 without a code":              {fake.Rule{Status: 401, Body: `{"error":{"message":"some words"}}`}, handlers.Pause, 0, "some words"},
		"a code beside other data":        {fake.Rule{Status: 400, Body: `{"error":{"error_data":"x","code":130429}}`}, handlers.Retry, 0, ""},
		"a new code of a broken server":   {fake.Rule{Status: 500, Body: `{"error":{"code":199999}}`}, handlers.Retry, 0, ""},
		"nothing but 401":                 {fake.Rule{Status: 401}, handlers.Pause, 0, ""},
		"outside the window": {whatsapp.Refusal(131047, "Message failed to send because more than 24 hours have passed since the customer last replied to this number."),
			handlers.GiveUp, 0, "use a message of type template or the action sendTemplate"},
	}
	for _, code := range []int{1, 2, 4, 80007, 130429, 131000, 131016} {
		cases[fmt.Sprint("to try again ", code)] = expected{refused(code), handlers.Retry, 0, ""}
	}
	for _, code := range []int{0, 3, 10, 190, 200, 230, 299, 131005, 131031, 131042, 131045} {
		cases[fmt.Sprint("of the account ", code)] = expected{refused(code), handlers.Pause, 0, fmt.Sprintf("(%d): ", code)}
	}
	for _, code := range []int{
		33, 100, 368, 130472, 131008, 131009, 131021, 131026, 131030, 131037, 131047, 131048, 131049, 131050, 131051, 131052, 131053,
		131062, 131064, 132000, 132001, 132005, 132007, 132012, 132015, 132016, 132068, 135000,
	} {
		cases[fmt.Sprint("permanent ", code)] = expected{refused(code), handlers.GiveUp, 0, fmt.Sprintf("(%d): ", code)}
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kit := install(t)
			kit.Script(tc.rule)
			o := kit.Send(handlerstest.Message{Payload: events.Text{Text: "a"}, Conversation: phone})
			if o.Verdict.Decision != tc.want || o.Verdict.After != tc.after || !strings.Contains(o.Verdict.Message, tc.told) {
				t.Errorf("%v is judged %+v, want %s after %s, told %q", o.Err, o.Verdict, tc.want, tc.after, tc.told)
			}
			if len(o.Requests) != 1 || len(o.Acks) != 0 {
				t.Errorf("%d requests, %d acks", len(o.Requests), len(o.Acks))
			}
			if want := map[handlers.Decision]client.Status{handlers.GiveUp: client.Failed}[tc.want]; want != "" && o.Message.Status != want {
				t.Errorf("it is %s", o.Message.Status)
			}
		})
	}
}

func TestAMessageThatWaitedIsSentOnce(t *testing.T) {
	t.Parallel()
	kit := install(t)
	kit.Script(withTimes(whatsapp.Refusal(131056, "pair rate limit hit"), 1))
	o := kit.Retry(kit.Send(handlerstest.Message{Payload: events.Text{Text: "a"}, Conversation: phone}))
	if o.Message.Status != client.Sent || len(o.Requests) != 1 || len(o.Acks) != 1 {
		t.Errorf("it is %s after %d requests: %v", o.Message.Status, len(o.Requests), o.Err)
	}
}

func TestConductIsMetas(t *testing.T) {
	t.Parallel()
	kit := install(t)
	c := kit.Installed.Conduct(events.MessageCreated, "channel")
	if c.Conversation != (handlers.Rate{Limit: 1, Per: 6 * time.Second, Burst: 45}) || c.Installation.Limit != 80 || c.Installation.Per != time.Second {
		t.Errorf("conduct is %+v", c)
	}
}

// The fake refuses what the real API refuses, so that no test passes on what
// would fail in production.
func TestTheFakeRefuses(t *testing.T) {
	t.Parallel()
	kit := install(t)
	const to = `{"messaging_product":"whatsapp","to":"16505551234",`
	button := func(n int, title string) string {
		all := []string{}
		for i := range n {
			all = append(all, fmt.Sprintf(`{"type":"reply","reply":{"id":"%d","title":"%s%d"}}`, i, title, i))
		}
		return `"interactive":{"type":"button","body":{"text":"a"},"action":{"buttons":[` + strings.Join(all, ",") + `]}}}`
	}
	for name, tc := range map[string]struct {
		body, token string
		status      int
	}{
		"nothing wrong":        {to + `"type":"text","text":{"body":"a"}}`, "t", 200},
		"no token":             {to + `"type":"text","text":{"body":"a"}}`, "", 401},
		"no product":           {`{"to":"16505551234","type":"text","text":{"body":"a"}}`, "t", 400},
		"no JSON":              {`{`, "t", 400},
		"nobody":               {`{"messaging_product":"whatsapp","type":"text","text":{"body":"a"}}`, "t", 400},
		"no number":            {`{"messaging_product":"whatsapp","to":"me","type":"text","text":{"body":"a"}}`, "t", 400},
		"no content":           {to + `"type":"image","text":{"body":"a"}}`, "t", 400},
		"an empty text":        {to + `"type":"text","text":{"body":""}}`, "t", 400},
		"a long text":          {to + `"type":"text","text":{"body":"` + strings.Repeat("é", 4097) + `"}}`, "t", 400},
		"a long caption":       {to + `"type":"image","image":{"id":"1","caption":"` + strings.Repeat("é", 1025) + `"}}`, "t", 400},
		"no medium":            {to + `"type":"image","image":{}}`, "t", 400},
		"a link that is none":  {to + `"type":"image","image":{"link":"x"}}`, "t", 400},
		"no place":             {to + `"type":"location","location":{"latitude":100}}`, "t", 400},
		"no template":          {to + `"type":"template","template":{"name":"a"}}`, "t", 400},
		"a reaction to none":   {to + `"type":"reaction","reaction":{"emoji":"a"}}`, "t", 400},
		"a context of nothing": {to + `"context":{},"type":"text","text":{"body":"a"}}`, "t", 400},
		"three buttons":        {to + `"type":"interactive",` + button(3, "a"), "t", 200},
		"four buttons":         {to + `"type":"interactive",` + button(4, "a"), "t", 400},
		"no buttons":           {to + `"type":"interactive",` + button(0, "a"), "t", 400},
		"a long button":        {to + `"type":"interactive",` + button(1, strings.Repeat("a", 20)), "t", 400},
		"no interaction":       {to + `"type":"interactive","interactive":{"type":"dance","body":{"text":"a"}}}`, "t", 400},
		"a list of none":       {to + `"type":"interactive","interactive":{"type":"list","body":{"text":"a"},"action":{"button":"b","sections":[]}}}`, "t", 400},
		"a link of none":       {to + `"type":"interactive","interactive":{"type":"cta_url","body":{"text":"a"},"action":{"name":"cta_url"}}}`, "t", 400},
		"read of nothing":      {`{"messaging_product":"whatsapp","status":"read"}`, "t", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, kit.URL+"/v24.0/1/messages", strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if tc.token != "" {
				r.Header.Set("Authorization", "Bearer "+tc.token)
			}
			transport := &http.Transport{DisableKeepAlives: true}
			answer, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != tc.status {
				t.Errorf("got %d, want %d", answer.StatusCode, tc.status)
			}
		})
	}
}
