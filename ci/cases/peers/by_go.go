// The routes of examples/conformance by Go's net/http, to look whether a case is the server's fault.
//
//	go run ci/cases/peers/by_go.go 8890
package main

import (
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const limit = 1024 * 1024

func number(request *http.Request, name string) int {
	value, _ := strconv.Atoi(request.URL.Query().Get(name))
	return value
}

func echo(out http.ResponseWriter, request *http.Request) {
	if request.ContentLength > limit {
		http.Error(out, "too large", 413)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(out, request.Body, limit))
	if _, over := err.(*http.MaxBytesError); over {
		http.Error(out, "too large", 413)
	} else if err != nil {
		out.Header().Set("Connection", "close")
		http.Error(out, err.Error(), 400)
	} else {
		out.Header().Set("Content-Length", strconv.Itoa(len(body)))
		out.Write(body)
	}
}

func dump(out http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		out.Header().Set("Connection", "close")
		http.Error(out, err.Error(), 400)
		return
	}
	fmt.Fprintf(out, "method=%s\npath=%s\nquery=%s\n", request.Method, request.URL.Path, request.URL.RawQuery)
	fmt.Fprintf(out, "version=%d.%d\nh.host=%s\n", request.ProtoMajor, request.ProtoMinor, request.Host)
	for name, values := range request.Header {
		for _, value := range values {
			fmt.Fprintf(out, "h.%s=%s\n", strings.ToLower(name), value)
		}
	}
	fmt.Fprintf(out, "body=%d\n", len(body))
}

func upload(out http.ResponseWriter, request *http.Request) {
	hash := crc32.NewIEEE()
	count, err := io.Copy(hash, request.Body)
	if err != nil {
		http.Error(out, err.Error(), 400)
		return
	}
	fmt.Fprintf(out, "len=%d crc32=%08x\n", count, hash.Sum32())
}

func stream(out http.ResponseWriter, request *http.Request) {
	flusher := out.(http.Flusher)
	flusher.Flush()
	for i := 0; i < number(request, "n"); i++ {
		if _, err := fmt.Fprintf(out, "chunk %d\n", i); err != nil || request.Context().Err() != nil {
			return
		}
		flusher.Flush()
		time.Sleep(time.Duration(number(request, "ms")) * time.Millisecond)
	}
}

func chunked(out http.ResponseWriter, _ *http.Request) {
	for _, part := range []string{"one", "two", "three"} {
		io.WriteString(out, part)
		out.(http.Flusher).Flush()
	}
}

func main() {
	mux := http.NewServeMux()
	only := func(method, path string, handler http.HandlerFunc) {
		mux.HandleFunc(path, func(out http.ResponseWriter, request *http.Request) {
			is := request.Method == method || method == "GET" && request.Method == "HEAD"
			if path == "/" && request.URL.Path != "/" {
				http.NotFound(out, request)
			} else if request.Method == "OPTIONS" {
				out.Header().Set("Allow", method)
				out.WriteHeader(204)
			} else if !is {
				out.Header().Set("Allow", method)
				http.Error(out, "not allowed", 405)
			} else {
				handler(out, request)
			}
		})
	}
	only("GET", "/", func(out http.ResponseWriter, _ *http.Request) { io.WriteString(out, "hello") })
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/dump", dump)
	only("POST", "/upload", upload)
	only("POST", "/only-post", func(out http.ResponseWriter, _ *http.Request) { io.WriteString(out, "posted") })
	only("GET", "/chunked", chunked)
	only("GET", "/stream", stream)
	only("GET", "/slow", func(out http.ResponseWriter, request *http.Request) {
		time.Sleep(time.Duration(number(request, "ms")) * time.Millisecond)
		io.WriteString(out, "slow")
	})
	only("GET", "/large", func(out http.ResponseWriter, request *http.Request) {
		count := number(request, "n")
		out.Header().Set("Content-Length", strconv.Itoa(count))
		piece := strings.Repeat("x", 65536)
		for count > 0 {
			if len(piece) > count {
				piece = piece[:count]
			}
			n, err := io.WriteString(out, piece)
			if err != nil {
				return
			}
			count -= n
		}
	})
	only("GET", "/status/", func(out http.ResponseWriter, request *http.Request) {
		status, err := strconv.Atoi(strings.TrimPrefix(request.URL.Path, "/status/"))
		if err != nil {
			http.NotFound(out, request)
			return
		}
		out.WriteHeader(status)
		if status != 204 && status != 304 {
			fmt.Fprintf(out, "status %d", status)
		}
	})
	only("GET", "/redirect", func(out http.ResponseWriter, request *http.Request) {
		http.Redirect(out, request, "/", 302)
	})
	only("GET", "/cookie", func(out http.ResponseWriter, request *http.Request) {
		out.Header().Add("Set-Cookie", "a=1; Path=/")
		out.Header().Add("Set-Cookie", "b=2; Path=/; HttpOnly")
		for _, cookie := range request.Cookies() {
			fmt.Fprintf(out, "%s=%s\n", cookie.Name, cookie.Value)
		}
	})
	// The multiplexer redirects to cleaned paths, which is not what is looked at here.
	plain := http.HandlerFunc(func(out http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "" {
			request.URL.Path = "/"
		}
		mux.ServeHTTP(out, request)
	})
	server := http.Server{
		Addr:              "127.0.0.1:" + os.Args[1],
		Handler:           plain,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       12 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    8 * 1024,
	}
	log.Fatal(server.ListenAndServe())
}
