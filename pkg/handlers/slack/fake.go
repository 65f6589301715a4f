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
	"unicode/utf8"

	"github.com/towpath/towpath/pkg/handlers/fake"
)

const (
	maxFakeBody  = 1 << 20 // more than Slack takes
	maxFakePosts = 10_000  // that can be changed; older ones are forgotten all at once
	maxAnswers   = 5       // to a response URL

	fakeResponses = "/response/"
	fakeFiles     = "/files-pri/"
)

// fakeAPI stands in for Slack's Web API, its response URLs and its files. It
// refuses as Slack does: with status 200 and "ok": false.
type fakeAPI struct {
	mu       sync.Mutex
	last     int64           // microseconds of the newest timestamp it gave out
	posted   map[string]bool // channel and timestamp of what can be changed
	answered map[string]int  // by response URL
	opened   map[string]bool // triggers that were used
}

func newFake() http.Handler {
	return &fakeAPI{posted: map[string]bool{}, answered: map[string]int{}, opened: map[string]bool{}}
}

// ServeHTTP answers a method by the last part of its path.
func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arguments, err := arguments(w, r)
	method := path.Base(r.URL.Path)
	switch {
	case err != nil:
		refuse(w, r, "invalid_form_data")
		return
	case strings.Contains(r.URL.Path, fakeResponses):
		f.respond(w, r, arguments)
		return
	case token(r, arguments) == "":
		refuse(w, r, "not_authed")
		return
	case !strings.HasPrefix(token(r, arguments), "xox"):
		refuse(w, r, "invalid_auth")
		return
	case strings.Contains(r.URL.Path, fakeFiles):
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write([]byte("\x89PNG\r\n\x1a\n"))
		return
	}
	switch method {
	case "auth.test":
		answer(w, object{
			"url": "https://towpath.slack.example/", "team": "Towpath", "user": "towpath",
			"team_id": sampleTeam, "user_id": sampleBotUser, "bot_id": sampleBot, "is_enterprise_install": false,
		})
	case "chat.postMessage":
		f.postMessage(w, r, arguments)
	case "chat.update":
		f.update(w, r, arguments)
	case "views.open":
		f.openView(w, r, arguments)
	default:
		refuse(w, r, "unknown_method")
	}
}

func (f *fakeAPI) postMessage(w http.ResponseWriter, r *http.Request, arguments url.Values) {
	channel := arguments.Get("channel")
	if code := faultOf(arguments); code != "" {
		refuse(w, r, code)
		return
	}
	ts := f.next(channel)
	message := object{
		"type": "message", "ts": ts, "text": arguments.Get("text"), "user": sampleBotUser, "bot_id": sampleBot, "app_id": sampleApp, "team": sampleTeam,
	}
	if thread := arguments.Get("thread_ts"); thread != "" {
		message["thread_ts"] = thread
	}
	answer(w, object{"channel": channel, "ts": ts, "message": message})
}

func (f *fakeAPI) update(w http.ResponseWriter, r *http.Request, arguments url.Values) {
	channel, ts := arguments.Get("channel"), arguments.Get("ts")
	f.mu.Lock()
	known := f.posted[channel+"/"+ts]
	f.mu.Unlock()
	code := faultOf(arguments)
	if code == "" && !known {
		code = "message_not_found"
	}
	if code != "" {
		refuse(w, r, code)
		return
	}
	answer(w, object{"channel": channel, "ts": ts, "text": arguments.Get("text")})
}

func (f *fakeAPI) openView(w http.ResponseWriter, r *http.Request, arguments url.Values) {
	trigger := arguments.Get("trigger_id")
	f.mu.Lock()
	used := f.opened[trigger]
	f.opened[trigger] = true
	f.mu.Unlock()
	switch {
	case trigger == "", arguments.Get("view") == "":
		refuse(w, r, "invalid_arguments")
	case used:
		refuse(w, r, "exchanged_trigger_id")
	default:
		answer(w, object{"view": object{"id": "V0TOWPATH1", "type": "modal"}})
	}
}

// respond takes the answers to one command or interaction.
func (f *fakeAPI) respond(w http.ResponseWriter, r *http.Request, arguments url.Values) {
	f.mu.Lock()
	f.answered[r.URL.Path]++
	times := f.answered[r.URL.Path]
	f.mu.Unlock()
	switch {
	case times > maxAnswers:
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(object{"ok": false, "error": "used_url"})
	case arguments.Get("text") == "" && arguments.Get("blocks") == "" && arguments.Get("delete_original") != "true":
		refuse(w, r, "no_text")
	default:
		answer(w, object{})
	}
}

// next returns a timestamp that is newer than all before.
func (f *fakeAPI) next(channel string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = max(f.last+1, time.Now().UnixMicro())
	ts := timestamp(time.UnixMicro(f.last))
	if len(f.posted) == maxFakePosts {
		clear(f.posted)
	}
	f.posted[channel+"/"+ts] = true
	return ts
}

// faultOf is what Slack would refuse a message for, empty if nothing.
func faultOf(arguments url.Values) string {
	text, markdown := arguments.Get("text"), arguments.Get("markdown_text")
	switch {
	case arguments.Get("channel") == "":
		return "channel_not_found"
	case markdown != "" && (text != "" || arguments.Get("blocks") != ""):
		return "markdown_text_conflict"
	case text == "" && markdown == "" && arguments.Get("blocks") == "" && arguments.Get("attachments") == "":
		return "no_text"
	case utf8.RuneCountInString(text) > maxText, utf8.RuneCountInString(markdown) > maxMarkdown:
		return "msg_too_long"
	}
	return faultOfBlocks(arguments.Get("blocks"))
}

// faultOfBlocks looks at the limits that Slack states.
func faultOfBlocks(raw string) string {
	if raw == "" {
		return ""
	}
	type text struct {
		Text string `json:"text"`
	}
	var blocks []struct {
		Type     string `json:"type"`
		Text     *text  `json:"text"`
		ImageURL string `json:"image_url"`
		AltText  string `json:"alt_text"`
		Elements []struct {
			ActionID string `json:"action_id"`
			Text     *text  `json:"text"`
			Value    string `json:"value"`
			Options  []struct {
				Text  text   `json:"text"`
				Value string `json:"value"`
			} `json:"options"`
		} `json:"elements"`
	}
	if json.Unmarshal([]byte(raw), &blocks) != nil {
		return "invalid_blocks_format"
	}
	tooLong := func(text string, most int) bool { return text == "" || utf8.RuneCountInString(text) > most }
	bad := len(blocks) > maxBlocks
	for _, block := range blocks {
		switch block.Type {
		case "section":
			bad = bad || block.Text == nil || tooLong(block.Text.Text, maxSection)
		case "image":
			bad = bad || tooLong(block.ImageURL, maxButtonURL) || tooLong(block.AltText, maxAltText)
		case "actions":
			bad = bad || len(block.Elements) == 0 || len(block.Elements) > maxButtons
			names := map[string]bool{}
			for _, one := range block.Elements {
				bad = bad || names[one.ActionID] || one.Text != nil && tooLong(one.Text.Text, maxLabel) ||
					utf8.RuneCountInString(one.Value) > maxButtonValue || len(one.Options) > maxOptions
				names[one.ActionID] = true
				for _, option := range one.Options {
					bad = bad || tooLong(option.Text.Text, maxLabel) || tooLong(option.Value, maxOptionValue)
				}
			}
		}
	}
	if bad {
		return "invalid_blocks"
	}
	return ""
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
