package linear

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/towpath/towpath/pkg/handlers/fake"
)

// maxFakeBody is more than any message needs.
const maxFakeBody = 4 << 20

// fakeAPI stands in for the part of Linear's GraphQL API that is used here. It
// refuses as Linear does: with errors in the body, which tell their type.
type fakeAPI struct {
	mu       sync.Mutex
	number   int
	comments map[string]bool
	issues   map[string]Created
	webhooks []subscription
}

func newFake() http.Handler {
	return &fakeAPI{number: 42, comments: map[string]bool{}, issues: map[string]Created{}}
}

// fields are the inputs of every operation together.
type fields struct {
	ID            string   `json:"id"`
	IssueID       string   `json:"issueId"`
	Body          string   `json:"body"`
	TeamID        string   `json:"teamId"`
	Title         string   `json:"title"`
	Priority      int      `json:"priority"`
	URL           string   `json:"url"`
	Secret        string   `json:"secret"`
	ResourceTypes []string `json:"resourceTypes"`
}

// question is a request: what is asked for by name, and with what.
type question struct {
	Query     string `json:"query"`
	Variables struct {
		ID    string `json:"id"`
		Input fields `json:"input"`
	} `json:"variables"`
}

// The first field that is asked for, behind the operation's own name.
var asksFor = regexp.MustCompile(`\{\s*(\w+)`)

// ServeHTTP answers one operation.
func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); strings.TrimSpace(key) == "" {
		write(w, http.StatusUnauthorized, failure("Authentication required, not authenticated", "authentication error", "AUTHENTICATION_ERROR"))
		return
	}
	var q question
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxFakeBody)).Decode(&q); err != nil {
		write(w, http.StatusBadRequest, failure("the body is no GraphQL request", "graphql error", "BAD_REQUEST"))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name := ""
	if found := asksFor.FindStringSubmatch(q.Query); found != nil {
		name = found[1]
	}
	data, refusal := f.answer(name, q)
	if refusal != "" {
		fake.Refuse(r)
		write(w, http.StatusOK, failure(refusal, "invalid input", "INPUT_ERROR"))
		return
	}
	if data == nil {
		write(w, http.StatusBadRequest, failure("Cannot query field \""+name+"\"", "graphql error", "GRAPHQL_VALIDATION_FAILED"))
		return
	}
	write(w, http.StatusOK, object{"data": object{name: data}})
}

func (f *fakeAPI) answer(name string, q question) (data object, refusal string) {
	switch in := q.Variables.Input; name {
	case "viewer":
		return object{"id": uuidOf("viewer"), "name": "Towpath Bot"}, ""
	case "commentCreate":
		return f.createComment(in)
	case "issueCreate":
		return f.createIssue(in)
	case "comments":
		found := []object{}
		if f.comments[q.Variables.ID] {
			found = append(found, object{"id": q.Variables.ID})
		}
		return object{"nodes": found}, ""
	case "issues":
		found := []Created{}
		if issue, ok := f.issues[q.Variables.ID]; ok {
			found = append(found, issue)
		}
		return object{"nodes": found}, ""
	case "webhooks":
		return object{"nodes": append([]subscription{}, f.webhooks...)}, ""
	case "webhookCreate":
		if in.URL == "" || len(in.ResourceTypes) == 0 {
			return nil, "Argument Validation Error - url and resourceTypes must be defined"
		}
		made := subscription{ID: uuidOf(fmt.Sprint("webhook ", len(f.webhooks), in.URL)), URL: in.URL}
		f.webhooks = append(f.webhooks, made)
		return object{"success": true, "webhook": made}, ""
	case "webhookUpdate", "webhookDelete":
		return f.changeWebhook(name, q)
	}
	return nil, ""
}

func (f *fakeAPI) createComment(in fields) (object, string) {
	switch {
	case in.IssueID == "":
		return nil, "Argument Validation Error - Exactly one of projectUpdateId, initiativeUpdateId or issueId must be defined."
	case in.Body == "":
		return nil, "Argument Validation Error - body must not be empty"
	case !isUUID(in.ID):
		return nil, "Argument Validation Error - id must be a UUID"
	case f.comments[in.ID]:
		return nil, "Entity with this id already exists: Comment"
	}
	f.comments[in.ID] = true
	return object{"success": true, "comment": object{"id": in.ID, "url": sampleURL + "#comment-" + in.ID[:8]}}, ""
}

func (f *fakeAPI) createIssue(in fields) (object, string) {
	_, taken := f.issues[in.ID]
	switch {
	case in.TeamID == "" || in.Title == "":
		return nil, "Argument Validation Error - teamId and title must be defined"
	case in.Priority < 0 || in.Priority > 4:
		return nil, "Argument Validation Error - priority must be from 0 to 4"
	case !isUUID(in.ID):
		return nil, "Argument Validation Error - id must be a UUID"
	case taken:
		return nil, "Entity with this id already exists: Issue"
	}
	f.number++
	identifier := fmt.Sprintf("TOW-%d", f.number)
	made := Created{ID: in.ID, Identifier: identifier, Title: in.Title, URL: "https://linear.app/towpath/issue/" + identifier}
	f.issues[in.ID] = made
	return object{"success": true, "issue": made}, ""
}

func (f *fakeAPI) changeWebhook(name string, q question) (object, string) {
	for i, one := range f.webhooks {
		if one.ID != q.Variables.ID {
			continue
		}
		if name == "webhookDelete" {
			f.webhooks = append(f.webhooks[:i:i], f.webhooks[i+1:]...)
			return object{"success": true}, ""
		}
		f.webhooks[i].URL = q.Variables.Input.URL
		return object{"success": true, "webhook": f.webhooks[i]}, ""
	}
	return nil, "Entity not found: Webhook - Could not find referenced Webhook."
}

// failure is the body of a refusal.
func failure(message, typ, code string) object {
	return object{"data": nil, "errors": []object{{"message": message, "extensions": object{
		"type": typ, "code": code, "userError": true, "userPresentableMessage": message,
	}}}}
}

func write(w http.ResponseWriter, status int, content object) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(content) // a caller that hung up is no concern of a fake
}
