package slack

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/towpath/towpath/pkg/handlers/fake"
)

// maxFakeBody is more than Slack takes.
const maxFakeBody = 1 << 20

// fakeAPI stands in for Slack's Web API. It refuses as Slack does: with status
// 200 and "ok": false.
type fakeAPI struct {
	mu   sync.Mutex
	last int64 // microseconds of the newest timestamp it gave out
}

func newFake() http.Handler { return &fakeAPI{} }

// ServeHTTP answers a method by the last part of its path.
func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arguments, err := arguments(w, r)
	switch method := path.Base(r.URL.Path); {
	case err != nil:
		refuse(w, r, "invalid_form_data")
	case token(r, arguments) == "":
		refuse(w, r, "not_authed")
	case method == "auth.test":
		answer(w, object{
			"url": "https://towpath.slack.example/", "team": "Towpath", "user": "towpath",
			"team_id": sampleTeam, "user_id": sampleBotUser, "bot_id": sampleBot, "is_enterprise_install": false,
		})
	case method == "chat.postMessage":
		f.postMessage(w, r, arguments)
	default:
		refuse(w, r, "unknown_method")
	}
}

func (f *fakeAPI) postMessage(w http.ResponseWriter, r *http.Request, arguments url.Values) {
	channel, text := arguments.Get("channel"), arguments.Get("text")
	switch {
	case channel == "":
		refuse(w, r, "channel_not_found")
		return
	case text == "" && arguments.Get("blocks") == "" && arguments.Get("attachments") == "":
		refuse(w, r, "no_text")
		return
	}
	ts := f.next()
	message := object{
		"type": "message", "ts": ts, "text": text, "user": sampleBotUser, "bot_id": sampleBot, "app_id": sampleApp, "team": sampleTeam,
	}
	if thread := arguments.Get("thread_ts"); thread != "" {
		message["thread_ts"] = thread
	}
	answer(w, object{"channel": channel, "ts": ts, "message": message})
}

// next returns a timestamp that is newer than all before.
func (f *fakeAPI) next() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = max(f.last+1, time.Now().UnixMicro())
	return timestamp(time.UnixMicro(f.last))
}

// arguments reads a call's arguments from a form or from JSON, whose nested
// values stay JSON, as they are in a form.
func arguments(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFakeBody)
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		err := r.ParseForm()
		return r.Form, err
	}
	var fields map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&fields); err != nil {
		return nil, err
	}
	values := url.Values{}
	for name, raw := range fields {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		values.Set(name, text)
	}
	return values, nil
}

func token(r *http.Request, arguments url.Values) string {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token
	}
	return arguments.Get("token")
}

func answer(w http.ResponseWriter, content object) {
	content["ok"] = true
	write(w, content)
}

func refuse(w http.ResponseWriter, r *http.Request, code string) {
	fake.Refuse(r)
	write(w, object{"ok": false, "error": code})
}

func write(w http.ResponseWriter, content object) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(content) // a caller that hung up is no concern of a fake
}
