package telegram

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/towpath/towpath/pkg/handlers/texts"
)

// maxFakeBody is more than Telegram takes without a file.
const maxFakeBody = 1 << 20

// fakeAPI stands in for the Bot API. It refuses what the Bot API refuses, in its
// words; a token whose second half is "revoked" is one that was.
type fakeAPI struct {
	mu   sync.Mutex
	last int64             // id of the newest message
	hook map[string]string // webhook URL by token
}

func newFake() http.Handler { return &fakeAPI{hook: map[string]string{}} }

var tokenPattern = regexp.MustCompile(`^[0-9]+:[A-Za-z0-9_-]+$`)

// refusal is an answer that says no.
type refusal struct {
	code int
	says string
}

func bad(says string) *refusal { return &refusal{http.StatusBadRequest, "Bad Request: " + says} }

// ServeHTTP answers a method by the last part of its path, and gives any file
// that is asked for.
func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	where := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	file := where[0] == "file" && len(where) > 2
	if file {
		where = where[1:]
	}
	token, ok := strings.CutPrefix(where[0], "bot")
	switch {
	case !ok || len(where) < 2 || !tokenPattern.MatchString(token):
		f.refuse(w, &refusal{http.StatusNotFound, "Not Found"})
		return
	case strings.HasSuffix(token, ":revoked"):
		f.refuse(w, &refusal{http.StatusUnauthorized, "Unauthorized"})
		return
	case file:
		_, _ = w.Write([]byte("a file of the fake's")) // who hung up is no concern of a fake
		return
	}
	params, err := fakeParams(w, r)
	if err != nil {
		f.refuse(w, bad("can't parse the request"))
		return
	}
	result, refused := f.answer(token, where[1], params)
	if refused != nil {
		f.refuse(w, refused)
		return
	}
	reply(w, http.StatusOK, object{"ok": true, "result": result})
}

func (f *fakeAPI) refuse(w http.ResponseWriter, no *refusal) {
	reply(w, no.code, object{"ok": false, "error_code": no.code, "description": no.says})
}

func reply(w http.ResponseWriter, status int, content object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(content) // who hung up is no concern of a fake
}

// fakeParams reads a call's parameters from JSON, a form or the query; all but
// nested ones are text.
func fakeParams(w http.ResponseWriter, r *http.Request) (map[string]string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFakeBody)
	params := map[string]string{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var fields map[string]json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&fields); err != nil {
			return nil, fmt.Errorf("decode parameters: %w", err)
		}
		for name, raw := range fields {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			params[name] = text
		}
		return params, nil
	}
	if err := r.ParseForm(); err != nil {
		return nil, fmt.Errorf("decode form: %w", err)
	}
	for name, values := range r.Form {
		params[name] = values[0]
	}
	return params, nil
}

func (f *fakeAPI) answer(token, method string, params map[string]string) (any, *refusal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, _, _ := strings.Cut(token, ":")
	bot := object{"id": json.Number(id), "is_bot": true, "first_name": "Towpath", "username": fakeUsername}
	switch strings.ToLower(method) {
	case "getme":
		me := object{"can_join_groups": true, "can_read_all_group_messages": false, "supports_inline_queries": false}
		maps.Copy(me, bot)
		return me, nil
	case "setwebhook":
		return true, f.setWebhook(token, params)
	case "deletewebhook":
		delete(f.hook, token)
		return true, nil
	case "getwebhookinfo":
		return object{"url": f.hook[token], "has_custom_certificate": false, "pending_update_count": 0}, nil
	case "answercallbackquery":
		if params["callback_query_id"] == "" {
			return nil, bad("query is too old and response timeout expired or query ID is invalid")
		}
		return true, nil
	case "getfile":
		if params["file_id"] == "" {
			return nil, bad("invalid file_id")
		}
		return object{"file_id": params["file_id"], "file_unique_id": "AQADfake", "file_size": 20, "file_path": "photos/file_1.jpg"}, nil
	}
	if refused := refuses(method, params); refused != nil {
		return nil, refused
	}
	f.last++
	to, _ := strconv.ParseInt(params["chat_id"], 10, 64)
	kind := "private"
	if to <= 0 {
		kind = "supergroup"
	}
	message := object{"message_id": f.last, "from": bot, "chat": object{"id": to, "type": kind}, "date": time.Now().Unix()}
	for _, name := range []string{"text", "caption"} {
		if params[name] != "" {
			message[name] = params[name]
		}
	}
	return message, nil
}

// setWebhook takes plain HTTP only on this machine, as a Bot API server of one's
// own does.
func (f *fakeAPI) setWebhook(token string, params map[string]string) *refusal {
	where, err := url.Parse(params["url"])
	switch {
	case err != nil || where.Host == "":
		return bad("bad webhook: invalid webhook URL specified")
	case where.Scheme != "https" && where.Hostname() != "127.0.0.1" && where.Hostname() != "localhost":
		return bad("bad webhook: An HTTPS URL must be provided for webhook")
	case params["secret_token"] != "" && !secretPattern.MatchString(params["secret_token"]):
		return bad("secret token contains unallowed characters")
	}
	f.hook[token] = params["url"]
	return nil
}

// required are the parameters that a method cannot do without, beside the chat,
// and what is said when one is missing.
var required = map[string]map[string]string{
	"sendMessage":   {"text": "message text is empty"},
	"sendPhoto":     {"photo": "there is no photo in the request"},
	"sendAudio":     {"audio": "there is no audio in the request"},
	"sendVoice":     {"voice": "there is no voice in the request"},
	"sendVideo":     {"video": "there is no video in the request"},
	"sendVideoNote": {"video_note": "there is no video note in the request"},
	"sendAnimation": {"animation": "there is no animation in the request"},
	"sendSticker":   {"sticker": "there is no sticker in the request"},
	"sendDocument":  {"document": "there is no document in the request"},
	"sendLocation":  {"latitude": "latitude is empty", "longitude": "longitude is empty"},
	"sendVenue":     {"latitude": "latitude is empty", "longitude": "longitude is empty", "title": "venue title must be non-empty", "address": "venue address must be non-empty"},
}

// refuses tells why a message would not be taken, nil if it would.
func refuses(method string, params map[string]string) *refusal {
	needed, known := required[method]
	if !known {
		return &refusal{http.StatusNotFound, "Not Found: method not found"}
	}
	chat := params["chat_id"]
	if chat == "" {
		return bad("chat_id is empty")
	}
	if _, err := strconv.ParseInt(chat, 10, 64); err != nil && !strings.HasPrefix(chat, "@") || chat == "0" {
		return bad("chat not found")
	}
	for name, says := range needed {
		if strings.TrimSpace(params[name]) == "" {
			return bad(says)
		}
	}
	switch {
	case texts.Length(params["text"], texts.UTF16) > maxText:
		return bad("message is too long")
	case texts.Length(params["caption"], texts.UTF16) > maxCaption:
		return bad("message caption is too long")
	}
	return refusesKeyboard(params["reply_markup"])
}

func refusesKeyboard(markup string) *refusal {
	if markup == "" {
		return nil
	}
	var keyboard struct {
		Rows [][]struct {
			Text string `json:"text"`
			URL  string `json:"url"`
			Data string `json:"callback_data"`
		} `json:"inline_keyboard"`
	}
	if err := json.Unmarshal([]byte(markup), &keyboard); err != nil {
		return bad("object expected as reply markup")
	}
	for _, row := range keyboard.Rows {
		for _, button := range row {
			switch {
			case button.Text == "":
				return bad("can't parse inline keyboard button: Field \"text\" must be of type String")
			case button.URL != "" && !isLink(button.URL):
				return bad("BUTTON_URL_INVALID")
			case button.URL == "" && button.Data == "":
				return bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
			case len(button.Data) > maxButtonData:
				return bad("BUTTON_DATA_INVALID")
			}
		}
	}
	return nil
}
