// Go's net/http against the conformance server: client URL BODY LARGE, one line when all is well.
package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"
)

// How long one answer may take.
const patience = 20 * time.Second

var (
	url     string
	body    []byte
	large   int
	client  *http.Client
	reused  int
	fresh   int
	hundred int
)

// An answer with its whole body.
type answer struct {
	status   int
	header   http.Header
	length   int64
	body     string
	arrivals []time.Time
}

// What is asked beside method and path.
type more struct {
	body   io.Reader
	header map[string]string
}

func must(holds bool, format string, values ...any) {
	if !holds {
		panic(fmt.Sprintf(format, values...))
	}
}

// Hides what a reader is, so that its length is not known: the body is chunked.
func chunked(content []byte) io.Reader {
	return struct{ io.Reader }{bytes.NewReader(content)}
}

func ask(method, path string, want int, with more) answer {
	request, err := http.NewRequest(method, url+path, with.body)
	must(err == nil, "%v", err)
	for name, value := range with.header {
		request.Header.Set(name, value)
	}
	trace := &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if info.Reused {
				reused++
			} else {
				fresh++
			}
		},
		Got100Continue: func() { hundred++ },
	}
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), trace))
	response, err := client.Do(request)
	must(err == nil, "%s %s: %v", method, path, err)
	defer response.Body.Close()
	answer := answer{status: response.StatusCode, header: response.Header}
	answer.length = response.ContentLength
	part := make([]byte, 65536)
	var whole bytes.Buffer
	for err == nil {
		var count int
		count, err = response.Body.Read(part)
		if count > 0 {
			whole.Write(part[:count])
			answer.arrivals = append(answer.arrivals, time.Now())
		}
	}
	must(err == io.EOF, "%s %s: the body: %v", method, path, err)
	answer.body = whole.String()
	shown := answer.body
	if len(shown) > 200 {
		shown = shown[:200]
	}
	must(answer.status == want, "%s %s: %d and not %d: %s", method, path, answer.status, want, shown)
	return answer
}

func is(found, wanted string) {
	if len(found) > 200 || len(wanted) > 200 {
		must(found == wanted, "%d bytes came, and not the %d wanted", len(found), len(wanted))
	}
	must(found == wanted, "%q and not %q", found, wanted)
}

func get() {
	for time := 0; time < 20; time++ {
		answer := ask("GET", "/", 200, more{})
		is(answer.body, "hello")
		must(answer.length == 5, "Content-Length: %d", answer.length)
	}
}

func head() {
	answer := ask("HEAD", fmt.Sprintf("/large?n=%d", large), 200, more{})
	must(answer.body == "" && answer.length == int64(large), "Content-Length: %d", answer.length)
}

func echo() {
	for _, method := range []string{"POST", "PUT", "PATCH"} {
		is(ask(method, "/echo", 200, more{body: bytes.NewReader(body)}).body, string(body))
		is(ask(method, "/echo", 200, more{body: chunked(body)}).body, string(body))
	}
	dump := ask("POST", "/dump", 200, more{body: chunked([]byte("12345"))}).body
	counted := strings.Contains(dump, "\nh.content-length=5\n")
	must(counted || strings.Contains(dump, "\nh.transfer-encoding=chunked\n"), "%s", dump)
	must(strings.Contains(dump, "\nbody=5"), "%s", dump)
}

func upload() {
	whole := bytes.Repeat(body, 3)
	wanted := fmt.Sprintf("len=%d crc32=%08x\n", len(whole), crc32.ChecksumIEEE(whole))
	is(ask("POST", "/upload", 200, more{body: bytes.NewReader(whole)}).body, wanted)
	is(ask("POST", "/upload", 200, more{body: chunked(whole)}).body, wanted)
}

func long() {
	is(ask("GET", fmt.Sprintf("/large?n=%d", large), 200, more{}).body, strings.Repeat("x", large))
	is(ask("GET", "/chunked", 200, more{}).body, "onetwothree")
}

func stream() {
	answer := ask("GET", "/stream?n=5&ms=50", 200, more{})
	must(strings.Count(answer.body, "chunk ") == 5, "%q", answer.body)
	took := answer.arrivals[len(answer.arrivals)-1].Sub(answer.arrivals[0])
	must(took > 120*time.Millisecond, "not as it was sent: all within %v", took)
}

func status() {
	for _, status := range []int{200, 204, 304, 404, 500, 503} {
		wanted := fmt.Sprintf("status %d", status)
		if status == 204 || status == 304 {
			wanted = ""
		}
		is(ask("GET", fmt.Sprintf("/status/%d", status), status, more{}).body, wanted)
	}
}

func redirectAndCookies() {
	is(ask("GET", "/redirect", 200, more{}).body, "hello")
	set := ask("GET", "/cookie", 200, more{}).header.Values("Set-Cookie")
	is(strings.Join(set, "|"), "a=1; Path=/|b=2; Path=/; HttpOnly")
	kept := strings.Fields(ask("GET", "/cookie", 200, more{}).body)
	sort.Strings(kept)
	is(strings.Join(kept, " "), "a=1 b=2")
}

func refused() {
	must(strings.Contains(ask("GET", "/only-post", 405, more{}).header.Get("Allow"), "POST"), "Allow")
	is(ask("POST", "/only-post", 200, more{}).body, "posted")
	ask("GET", "/nowhere", 404, more{})
}

func expect() {
	wait := map[string]string{"Expect": "100-continue"}
	before := hundred
	for _, content := range []io.Reader{bytes.NewReader(body), chunked(body)} {
		is(ask("POST", "/echo", 200, more{body: content, header: wait}).body, string(body))
	}
	must(hundred == before+2, "%d times told to continue", hundred-before)
	twice := bytes.Repeat(body, 2)
	ask("POST", "/echo", 413, more{body: bytes.NewReader(twice), header: wait})
}

func tooLong() {
	twice := bytes.Repeat(body, 2)
	ask("POST", "/echo", 413, more{body: bytes.NewReader(twice)})
	ask("POST", "/echo", 413, more{body: chunked(twice)})
	get()
}

func main() {
	url = strings.TrimSuffix(os.Args[1], "/")
	length, _ := strconv.Atoi(os.Args[2])
	large, _ = strconv.Atoi(os.Args[3])
	for index := 0; index < length; index++ {
		body = append(body, byte(index*7%251))
	}
	jar, _ := cookiejar.New(nil)
	// No proxy of this machine.
	transport := &http.Transport{ExpectContinueTimeout: patience, DisableCompression: true}
	client = &http.Client{Jar: jar, Timeout: patience, Transport: transport}
	get()
	must(fresh == 1 && reused == 19, "20 requests took %d connections", fresh)
	head()
	echo()
	upload()
	long()
	stream()
	status()
	redirectAndCookies()
	refused()
	expect()
	tooLong()
	fmt.Printf("12 groups of questions answered, %d connections, %d times reused\n", fresh, reused)
}
