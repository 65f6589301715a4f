package whatsapp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/towpath/towpath/pkg/handlers/fake"
)

// maxFakeBody is more than any message needs.
const maxFakeBody = 1 << 20

// fakeAPI stands in for the Graph API. It has every phone number, and refuses
// what the real one refuses, in its words.
type fakeAPI struct {
	mu        sync.Mutex
	last      int
	overrides map[string]string // URL by phone number
}

func newFake() http.Handler {
	f := &fakeAPI{overrides: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{version}/{number}/messages", f.send)
	mux.HandleFunc("POST /{version}/{number}/conversational_automation", func(w http.ResponseWriter, _ *http.Request) {
		write(w, object{"success": true})
	})
	mux.HandleFunc("POST /{version}/{number}", f.configure)
	mux.HandleFunc("GET /{version}/{id}", f.get)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok || token == "" {
			refuse(w, 190, "Invalid OAuth access token - Cannot parse access token")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// get answers for a phone number when its fields are asked for, else for a
// medium.
func (f *fakeAPI) get(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if r.URL.Query().Has("fields") {
		f.mu.Lock()
		defer f.mu.Unlock()
		write(w, object{
			"id": id, "display_phone_number": sampleNumber, "verified_name": "Towpath",
			"webhook_configuration": object{"phone_number": f.overrides[id]},
		})
		return
	}
	write(w, object{
		"messaging_product": "whatsapp", "id": id, "mime_type": "image/jpeg", "sha256": "4654+8g=", "file_size": 61901,
		"url": "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=" + id + "&hash=" + f.next(),
	})
}

func (f *fakeAPI) configure(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Webhook *struct {
			URL   string `json:"override_callback_uri"`
			Token string `json:"verify_token"`
		} `json:"webhook_configuration"`
	}
	if !read(w, r, &in) {
		return
	}
	if in.Webhook == nil || in.Webhook.URL != "" && (!strings.HasPrefix(in.Webhook.URL, "http") || in.Webhook.Token == "" || len(in.Webhook.URL) > 200) {
		refuse(w, 100, "(#100) Invalid parameter: webhook_configuration")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.overrides[r.PathValue("number")] = in.Webhook.URL
	write(w, object{"success": true})
}

func (f *fakeAPI) send(w http.ResponseWriter, r *http.Request) {
	var m struct {
		outbound
		Status    string `json:"status"`
		MessageID string `json:"message_id"`
	}
	if !read(w, r, &m) {
		return
	}
	if m.Status == "read" {
		if m.Product != "whatsapp" || m.MessageID == "" {
			refuse(w, 100, "(#100) Invalid parameter")
			return
		}
		write(w, object{"success": true})
		return
	}
	if number, message := m.fault(); number != 0 {
		refuse(w, number, fmt.Sprintf("(#%d) %s", number, message))
		return
	}
	who := object{"input": m.To, "wa_id": digits(m.To)}
	if m.To == "" {
		who = object{"input": m.Recipient, "user_id": m.Recipient}
	}
	write(w, object{
		"messaging_product": "whatsapp", "contacts": []object{who}, "messages": []object{{"id": "wamid.FAKE" + f.next()}},
	})
}

func (f *fakeAPI) next() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	return fmt.Sprintf("%08d", f.last)
}

const (
	lacks = "Required parameter is missing"
	wrong = "Parameter value is not valid"
)

// fault is why the real API would refuse a message, 0 if it would not.
func (m outbound) fault() (number int, message string) {
	switch {
	case m.Product != "whatsapp":
		return 100, "Invalid parameter: messaging_product"
	case m.To == "" && m.Recipient == "", m.content() == nil:
		return 131008, lacks
	case m.To != "" && len(digits(m.To)) < 5, m.Context != nil && m.Context.MessageID == "":
		return 131009, wrong
	}
	return m.content().fault()
}

// checked is a message's content, which knows what is wrong with it.
type checked interface{ fault() (int, string) }

// content is that of the message's type, nil when it is not there.
func (m outbound) content() checked {
	var found checked
	for typ, one := range map[string]struct {
		is bool
		checked
	}{
		"text": {m.Text != nil, m.Text}, "image": {m.Image != nil, m.Image}, "audio": {m.Audio != nil, m.Audio},
		"video": {m.Video != nil, m.Video}, "document": {m.Document != nil, m.Document},
		"location": {m.Location != nil, m.Location}, "interactive": {m.Interactive != nil, m.Interactive},
		"template": {m.Template != nil, m.Template}, "reaction": {m.Reaction != nil, m.Reaction},
	} {
		if typ == m.Type && one.is {
			found = one.checked
		}
	}
	return found
}

func within(text string, most int) bool { return text != "" && utf8.RuneCountInString(text) <= most }

func valid(ok bool) (int, string) {
	if ok {
		return 0, ""
	}
	return 131009, wrong
}

func (t *outText) fault() (int, string) { return valid(within(strings.TrimSpace(t.Body), maxText)) }

func (m *outMedia) fault() (int, string) {
	if (m.ID == "") == (m.Link == "") {
		return 131008, lacks
	}
	if link, err := url.Parse(m.Link); m.ID == "" && (err != nil || link.Host == "") {
		return 131053, "Media upload error"
	}
	return valid(m.Caption == "" || within(m.Caption, maxCaption))
}

func (l *outLocation) fault() (int, string) {
	return valid(l.Latitude >= -90 && l.Latitude <= 90 && l.Longitude >= -180 && l.Longitude <= 180)
}

func (r *outReaction) fault() (int, string) { return valid(r.MessageID != "") }

func (t *outTemplate) fault() (int, string) {
	if t.Name == "" || t.Language.Code == "" {
		return 132001, "Template name does not exist in the translation"
	}
	return 0, ""
}

func (i *interactive) fault() (int, string) {
	ids, titles := map[string]bool{}, map[string]bool{}
	distinct := func(r row, title, id int) bool {
		fresh := !ids[r.ID] && !titles[r.Title]
		ids[r.ID], titles[r.Title] = true, i.Type == "button" // rows may be called alike
		return fresh && within(r.Title, title) && within(r.ID, id) && utf8.RuneCountInString(r.Description) <= maxDescription
	}
	ok := within(i.Body.Text, maxBody)
	switch i.Type {
	case "button":
		ok = ok && len(i.Action.Buttons) >= 1 && len(i.Action.Buttons) <= maxButtons
		for _, one := range i.Action.Buttons {
			ok = ok && one.Type == "reply" && distinct(one.Reply, maxButtonTitle, maxButtonID)
		}
	case "list":
		rows := []row{}
		for _, one := range i.Action.Sections {
			rows = append(rows, one.Rows...)
		}
		ok = ok && len(rows) >= 1 && len(rows) <= maxRows && within(i.Action.Button, maxButtonTitle) && i.Header == nil
		for _, one := range rows {
			ok = ok && distinct(one, maxRowTitle, maxRowID)
		}
	case "cta_url":
		link := i.Action.Parameters
		ok = ok && i.Action.Name == "cta_url" && link != nil && within(link.Text, maxButtonTitle) && strings.HasPrefix(link.URL, "http")
	default:
		ok = false
	}
	return valid(ok)
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxFakeBody)).Decode(into); err != nil {
		refuse(w, 100, "(#100) The parameter messaging_product is required.")
		return false
	}
	return true
}

func refuse(w http.ResponseWriter, code int, message string) {
	rule := Refusal(code, message)
	w.Header().Set("Content-Type", rule.Headers["Content-Type"])
	w.WriteHeader(rule.Status)
	_, _ = w.Write([]byte(rule.Body)) // a caller that hung up is no concern of a fake
}

// Refusal is a rule for the fake by which the API answers with one of Meta's
// error codes, as it does: mostly with status 400, whatever the code means.
func Refusal(code int, message string) fake.Rule {
	status := http.StatusBadRequest
	switch {
	case code == 0 || code == 190:
		status = http.StatusUnauthorized
	case code == 3 || code == 10 || code >= 200 && code < 300 || code == 368 || code == 131005 || code == 131031:
		status = http.StatusForbidden
	case code == 1 || code == 2 || code == 131000 || code == 131016 || code == 131057:
		status = http.StatusInternalServerError
	}
	body, _ := json.Marshal(object{"error": object{ // of what is nothing but text and numbers
		"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A4O5a8RAgePwbcGSu",
		"error_data": object{"messaging_product": "whatsapp", "details": message},
	}})
	return fake.Rule{Status: status, Headers: map[string]string{"Content-Type": "application/json; charset=UTF-8"}, Body: string(body)}
}

func write(w http.ResponseWriter, content object) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(content) // a caller that hung up is no concern of a fake
}
