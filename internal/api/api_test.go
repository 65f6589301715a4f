package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/internal/api"
	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token = "the-demo-bots-token"
	demo  = "demo"
)

// world is the API over a NATS of its own.
type world struct {
	url       string
	http      *http.Client
	store     *store.Store
	log       *bytes.Buffer
	connected atomic.Bool
	// fail replaces the store's answer when it holds an error.
	fail atomic.Pointer[failure]
	// caller replaces the bot, for what only an integration asks.
	caller atomic.Pointer[client.Caller]
}

type failure struct {
	err   error
	panic any
}

// Do implements client.Backend.
func (w *world) Do(ctx context.Context, call client.Call, in, out any) error {
	if f := w.fail.Load(); f != nil {
		if f.panic != nil {
			panic(f.panic)
		}
		return f.err
	}
	if caller := w.caller.Load(); caller != nil {
		call.Caller = *caller
	}
	return w.store.Do(ctx, call, in, out)
}

func start(t *testing.T) *world {
	t.Helper()
	quiet := brokertest.Logger(t)
	b := brokertest.Start(t).Connect(t)
	s, err := store.Open(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), store.Desired{
		Bots: []store.BotSpec{{ID: demo, Token: token}, {ID: "second", Token: "the-second-bots-token"}},
		Installations: []store.InstallationSpec{
			{Bot: demo, Integration: "slack", Alias: "slack", WebhookID: "webhook_demo_slack"},
		},
	}, nil); err != nil {
		t.Fatal(err)
	}
	directory := store.NewDirectory(b, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = directory.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !directory.Ready() {
		<-tick.C
	}

	w := &world{store: s, log: &bytes.Buffer{}}
	w.connected.Store(true)
	logger := logrus.New()
	logger.SetOutput(w.log)
	server := httptest.NewServer(api.New(api.Config{
		Backend: w, Directory: directory, Connected: w.connected.Load, Logger: logger,
	}))
	t.Cleanup(server.Close)
	w.url, w.http = server.URL, server.Client()
	return w
}

func (w *world) bot() *client.Client {
	return client.New(&client.HTTP{BaseURL: w.url, Token: token, Client: w.http}, client.Caller{BotID: demo})
}

// request is one as the demo bot sends it; header pairs replace or, with an
// empty value, remove.
func (w *world) request(t *testing.T, method, path string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("X-Bot-Id", demo)
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	redirectless := *w.http
	redirectless.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := redirectless.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

var errorID = regexp.MustCompile(`^err_\d{14}x[0-9A-F]{8}$`)

// refused checks that an answer is an error body that Botpress's client takes.
func refused(t *testing.T, response *http.Response, want client.ErrorType) (id string) {
	t.Helper()
	var body map[string]any
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatalf("answer %s is no JSON: %v", response.Status, err)
	}
	if response.StatusCode != want.Status() || body["type"] != string(want) || body["code"] != float64(want.Status()) {
		t.Errorf("answer %s %v, want %d %s", response.Status, body, want.Status(), want)
	}
	id, _ = body["id"].(string)
	if !errorID.MatchString(id) || body["message"] == "" || body["message"] == nil {
		t.Errorf("id or message of %v", body)
	}
	if got := response.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	return id
}

func TestWhatIsWrongIsSaidInBotpressWords(t *testing.T) {
	t.Parallel()
	w := start(t)
	large := `{"channel":"` + strings.Repeat("x", api.MaxBody) + `"}`
	const users = "/v1/chat/users"
	for name, test := range map[string]struct {
		method, path string
		body         io.Reader
		header       []string
		want         client.ErrorType
	}{
		"unknown path":        {method: "GET", path: "/v1/chat/nothing", want: client.ResourceNotFound},
		"the root":            {method: "GET", path: "/", want: client.ResourceNotFound},
		"two slashes":         {method: "GET", path: "/v1//chat/users/u", want: client.ResourceNotFound},
		"dots":                {method: "GET", path: "/v1/chat/users/..", want: client.ResourceNotFound},
		"no id":               {method: "GET", path: "/v1/chat/users/", want: client.ResourceNotFound},
		"wrong method":        {method: "PATCH", path: users, want: client.MethodNotFound},
		"put a list":          {method: "PUT", path: "/v1/chat/messages", body: strings.NewReader("{}"), want: client.MethodNotFound},
		"delete a message":    {method: "DELETE", path: "/v1/chat/messages/m", body: strings.NewReader("{}"), want: client.ResourceNotFound},
		"no token":            {method: "GET", path: users + "/u", header: []string{"Authorization", ""}, want: client.Unauthorized},
		"no bearer":           {method: "GET", path: users + "/u", header: []string{"Authorization", token}, want: client.Unauthorized},
		"basic":               {method: "GET", path: users + "/u", header: []string{"Authorization", "Basic " + token}, want: client.Unauthorized},
		"empty token":         {method: "GET", path: users + "/u", header: []string{"Authorization", "Bearer  "}, want: client.Unauthorized},
		"wrong token":         {method: "GET", path: users + "/u", header: []string{"Authorization", "Bearer " + token + "x"}, want: client.Unauthorized},
		"no bot id":           {method: "GET", path: users + "/u", header: []string{"X-Bot-Id", ""}, want: client.InvalidPayload},
		"another bot":         {method: "GET", path: users + "/u", header: []string{"X-Bot-Id", "second"}, want: client.Forbidden},
		"as an integration":   {method: "GET", path: users + "/u", header: []string{"X-Integration-Alias", "slack"}, want: client.Forbidden},
		"integration id":      {method: "GET", path: users + "/u", header: []string{"X-Integration-Id", "intver_x"}, want: client.Forbidden},
		"unknown user":        {method: "GET", path: users + "/user_x", want: client.ResourceNotFound},
		"escaped slash":       {method: "GET", path: users + "/a%2Fb", want: client.ResourceNotFound},
		"malformed JSON":      {method: "POST", path: users, body: strings.NewReader(`{"tags":`), want: client.InvalidPayload},
		"two documents":       {method: "POST", path: users, body: strings.NewReader(`{} {}`), want: client.InvalidPayload},
		"array":               {method: "POST", path: users, body: strings.NewReader(`[]`), want: client.InvalidPayload},
		"wrong type":          {method: "POST", path: users, body: strings.NewReader(`{"tags":{"a":1}}`), want: client.InvalidPayload},
		"large":               {method: "POST", path: users, body: strings.NewReader(large), want: client.PayloadTooLarge},
		"large and chunked":   {method: "POST", path: users, body: io.MultiReader(strings.NewReader(large)), want: client.PayloadTooLarge},
		"event from a bot":    {method: "POST", path: "/v1/chat/events", body: strings.NewReader(`{"type":"x","payload":{}}`), want: client.Forbidden},
		"state of nobody":     {method: "GET", path: "/v1/chat/states/planet/x/y", want: client.InvalidPayload},
		"payload left out":    {method: "POST", path: "/v1/chat/states/bot/demo/y", body: strings.NewReader(`{}`), want: client.InvalidPayload},
		"no such page":        {method: "GET", path: "/v1/chat/messages?nextToken=%3F%3F", want: client.InvalidQuery},
		"unknown integration": {method: "POST", path: "/v1/chat/actions", body: strings.NewReader(`{"type":"x:y","input":{}}`), want: client.ReferenceNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response := w.request(t, test.method, test.path, test.body, test.header...)
			refused(t, response, test.want)
			if test.want == client.MethodNotFound && response.Header.Get("Allow") == "" {
				t.Error("no Allow header")
			}
		})
	}
}

func TestAWalkThroughAllThatABotAsks(t *testing.T) {
	t.Parallel()
	w, ctx := start(t), t.Context()
	bot := w.bot()
	conversation, err := bot.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{
		Channel: "channel", IntegrationName: "slack", Tags: client.Tags{"slack:id": "C 1/ä"},
	})
	if err != nil || !conversation.Meta.Created {
		t.Fatal(conversation, err)
	}
	id := conversation.Conversation.ID
	sent, err := bot.CreateMessage(ctx, client.CreateMessageInput{
		ConversationID: id, UserID: demo, Type: "text", Payload: json.RawMessage(`{"text":"hi","n":12345678901234567890.10}`),
		Tags: client.Tags{"slack:thread": "a&b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(sent.Message.Payload); got != `{"text":"hi","n":12345678901234567890.10}` {
		t.Errorf("payload %s did not keep its digits", got)
	}
	listed, err := bot.ListMessages(ctx, client.ListMessagesInput{ConversationID: id, Tags: client.Tags{"slack:thread": "a&b"}})
	if err != nil || len(listed.Messages) != 1 || listed.Messages[0].ID != sent.Message.ID {
		t.Errorf("listed %+v, %v", listed, err)
	}
	updated, err := bot.UpdateMessage(ctx, client.UpdateMessageInput{ID: sent.Message.ID, Tags: client.Tags{"slack:thread": "", "own": "1"}})
	if err != nil || len(updated.Message.Tags) != 1 || updated.Message.Status != client.Queued {
		t.Errorf("updated %+v, %v", updated, err)
	}
	// A name with everything that a path could trip over.
	const name = "a/b c?d%2F#é"
	if _, err := bot.SetState(ctx, client.SetStateInput{Type: client.BotState, ID: demo, Name: name, Payload: json.RawMessage(`{"a":1}`)}); err != nil {
		t.Fatal(err)
	}
	state, err := bot.GetState(ctx, client.StateInput{Type: client.BotState, ID: demo, Name: name})
	if err != nil || state.State.Name != name || string(state.State.Payload) != `{"a":1}` {
		t.Errorf("state %+v, %v", state, err)
	}
	if _, err := bot.GetState(ctx, client.StateInput{Type: client.BotState, ID: demo, Name: "a"}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("state a: %v", err)
	}
	if _, err := client.New(&client.HTTP{BaseURL: w.url, Token: "the-second-bots-token", Client: w.http}, client.Caller{BotID: "second"}).GetConversation(ctx, id); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("another bot reads the conversation: %v", err)
	}
}

func TestARepeatedCallWithAnIdempotencyKeyIsOneEffect(t *testing.T) {
	t.Parallel()
	w := start(t)
	ids := map[string]bool{}
	for _, key := range []string{"k1", "k1", "k2"} {
		response := w.request(t, "POST", "/v1/chat/users", strings.NewReader(`{"tags":{}}`), "Idempotency-Key", key)
		var out client.UserOutput
		if err := json.NewDecoder(response.Body).Decode(&out); err != nil || response.StatusCode != http.StatusCreated {
			t.Fatal(response.Status, err)
		}
		ids[out.User.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("two keys made %d users", len(ids))
	}
}

func TestAnOutageAsksToRepeatOnlyWhatIsSafeToRepeat(t *testing.T) {
	t.Parallel()
	w := start(t)
	const users = "/v1/chat/users"
	body := func() io.Reader { return strings.NewReader(`{"tags":{}}`) }
	turnedAway := func(response *http.Response) {
		t.Helper()
		refused(t, response, client.RateLimited)
		if response.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	w.connected.Store(false)
	turnedAway(w.request(t, "POST", users, body()))
	w.connected.Store(true)

	w.fail.Store(&failure{err: broker.ErrUnavailable})
	turnedAway(w.request(t, "GET", users+"/u", nil))
	turnedAway(w.request(t, "POST", users, body(), "Idempotency-Key", "k"))
	refused(t, w.request(t, "POST", users, body()), client.Internal)
	w.fail.Store(&failure{err: broker.ErrFull})
	turnedAway(w.request(t, "POST", users, body()))
}

func TestAnInternalErrorGivesNothingAwayButItsID(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*failure{
		"error": {err: errors.New("the private cause")},
		"panic": {panic: "the private cause"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			w.fail.Store(f)
			response := w.request(t, "GET", "/v1/chat/users/u", nil)
			var raw bytes.Buffer
			response.Body = io.NopCloser(io.TeeReader(response.Body, &raw))
			id := refused(t, response, client.Internal)
			if strings.Contains(raw.String(), "private") {
				t.Errorf("the answer tells the cause: %s", &raw)
			}
			if log := w.log.String(); !strings.Contains(log, id) || !strings.Contains(log, "private cause") {
				t.Errorf("the log lacks id or cause: %s", log)
			}
			if strings.Contains(w.log.String(), token) {
				t.Error("the log holds the token")
			}
		})
	}
}

func TestNobodyIsJudgedBeforeTheBotsAreKnown(t *testing.T) {
	t.Parallel()
	ignorant := store.NewDirectory(brokertest.StartEmpty(t).Connect(t), brokertest.Logger(t))
	handler := api.New(api.Config{
		Directory: ignorant, Connected: func() bool { return true }, Logger: brokertest.Logger(t),
	})
	recorder := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/chat/users/u", nil)
	request.Header.Set("Authorization", "Bearer "+token)
	handler.ServeHTTP(recorder, request)
	refused(t, recorder.Result(), client.RateLimited)
}
