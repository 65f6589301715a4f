package github

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// maxFakeBody is more than GitHub takes.
const maxFakeBody = 4 << 20

// fakeAPI stands in for the part of GitHub's REST API that is used here.
type fakeAPI struct {
	mu       sync.Mutex
	last     int64
	comments map[string][]wireComment // by their place
	hooks    map[string][]hook        // by the path of their list
}

func newFake() http.Handler {
	f := &fakeAPI{last: 3_000_000_000, comments: map[string][]wireComment{}, hooks: map[string][]hook{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /user", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, account("towpath-bot", "User"))
	})
	mux.HandleFunc("GET /repos/{owner}/{name}/issues/{number}/comments", f.list)
	mux.HandleFunc("POST /repos/{owner}/{name}/issues/{number}/comments", f.comment)
	for _, hooks := range []string{"/repos/{owner}/{name}/hooks", "/orgs/{owner}/hooks"} {
		mux.HandleFunc("GET "+hooks, f.listHooks)
		mux.HandleFunc("POST "+hooks, f.createHook)
		mux.HandleFunc("PATCH "+hooks+"/{id}", f.changeHook)
		mux.HandleFunc("DELETE "+hooks+"/{id}", f.changeHook)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuseWith(w, http.StatusNotFound, "Not Found") })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.TrimSpace(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer")) == "" {
			refuseWith(w, http.StatusUnauthorized, "Requires authentication")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxFakeBody)
		f.mu.Lock()
		defer f.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
}

// comment takes what GitHub would take: of a real issue's number, not blank and
// not too long.
func (f *fakeAPI) comment(w http.ResponseWriter, r *http.Request) {
	var in wireComment
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuseWith(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	switch n, err := strconv.Atoi(r.PathValue("number")); {
	case err != nil || n < 1:
		refuseWith(w, http.StatusNotFound, "Not Found")
		return
	case strings.TrimSpace(in.Body) == "":
		refuseWith(w, http.StatusUnprocessableEntity, "Validation Failed", "body can't be blank")
		return
	case utf8.RuneCountInString(in.Body) > maxComment:
		refuseWith(w, http.StatusUnprocessableEntity, "Validation Failed", "body is too long (maximum is 65536 characters)")
		return
	}
	f.last++
	at := time.Now().UTC().Format(time.RFC3339)
	made := wireComment{
		ID: f.last, Body: in.Body, User: Account{ID: idOf("towpath-bot"), Login: "towpath-bot", Type: "User"}, CreatedAt: at, UpdatedAt: at,
		HTMLURL: "https://github.com/" + r.PathValue("owner") + "/" + r.PathValue("name") + "/issues/" + r.PathValue("number") + "#issuecomment-" + strconv.FormatInt(f.last, 10),
	}
	f.comments[r.URL.Path] = append(f.comments[r.URL.Path], made)
	write(w, http.StatusCreated, made)
}

// list is one page of the comments; the time that they are asked from is not
// looked at, as no test has older ones.
func (f *fakeAPI) list(w http.ResponseWriter, r *http.Request) {
	write(w, http.StatusOK, page(r, f.comments[r.URL.Path]))
}

func (f *fakeAPI) listHooks(w http.ResponseWriter, r *http.Request) {
	write(w, http.StatusOK, page(r, f.hooks[r.URL.Path]))
}

func page[T any](r *http.Request, all []T) []T {
	number := func(name string, least int) int {
		n, _ := strconv.Atoi(r.URL.Query().Get(name)) // what is none is the least
		return max(n, least)
	}
	size := min(number("per_page", 30), pageSize)
	from := min((number("page", 1)-1)*size, len(all))
	return append([]T{}, all[from:min(from+size, len(all))]...)
}

func (f *fakeAPI) createHook(w http.ResponseWriter, r *http.Request) {
	var in hook
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Config.URL == "" {
		refuseWith(w, http.StatusUnprocessableEntity, "Validation Failed", "url cannot be blank")
		return
	}
	if slices.ContainsFunc(f.hooks[r.URL.Path], func(one hook) bool { return one.Config.URL == in.Config.URL }) {
		refuseWith(w, http.StatusUnprocessableEntity, "Validation Failed", "Hook already exists on this repository")
		return
	}
	f.last++
	in.ID = f.last
	f.hooks[r.URL.Path] = append(f.hooks[r.URL.Path], in)
	write(w, http.StatusCreated, in)
}

var lastPart = regexp.MustCompile(`/\d+$`)

func (f *fakeAPI) changeHook(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64) // what is none is not there
	path := lastPart.ReplaceAllString(r.URL.Path, "")
	at := slices.IndexFunc(f.hooks[path], func(one hook) bool { return one.ID == id })
	if at < 0 {
		refuseWith(w, http.StatusNotFound, "Not Found")
		return
	}
	if r.Method == http.MethodDelete {
		f.hooks[path] = slices.Delete(f.hooks[path], at, at+1)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	in := f.hooks[path][at]
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuseWith(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	in.ID = id
	f.hooks[path][at] = in
	write(w, http.StatusOK, in)
}

// refuseWith answers as GitHub does when it refuses.
func refuseWith(w http.ResponseWriter, status int, message string, details ...string) {
	content := object{"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status)}
	var faults []object
	for _, detail := range details {
		faults = append(faults, object{"resource": "IssueComment", "code": "custom", "message": detail})
	}
	if faults != nil {
		content["errors"] = faults
	}
	write(w, status, content)
}

func write(w http.ResponseWriter, status int, content any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(content) // a caller that hung up is no concern of a fake
}
