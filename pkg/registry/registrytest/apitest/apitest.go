// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package apitest checks requests, and the answers of stand-in servers, against the
// published descriptions of the APIs that pushguard uses: Docker Hub's and GitHub's.
// The descriptions and their licences are in this folder. Only tests import it.
package apitest

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

//go:embed *.yaml
var descriptions embed.FS

// API is one API as its provider describes it.
type API struct {
	routers []routers.Router
	// undescribed are query parameters that an operation takes though its
	// description lacks them, by path.
	undescribed map[string][]string
	// loose are the paths whose answers the description gives wrong types.
	loose []string
	// statuses are answers that occur though the description lacks them, by method and path.
	statuses map[string][]int
}

// DockerHub is the API of hub.docker.com, with the DELETE of a tag that Docker
// does not document.
func DockerHub() (*API, error) {
	a := &API{loose: []string{
		"/v2/namespaces/{namespace}/repositories/{repository}/tags",
		"/v2/namespaces/{namespace}/repositories/{repository}/tags/{tag}",
	}}
	return a.load("docker-hub.yaml", "docker-hub-additions.yaml")
}

// DockerHubRegistry is the API of registry-1.docker.io.
func DockerHubRegistry() (*API, error) {
	a := &API{}
	return a.load("docker-hub-registry.yaml")
}

// GitHub is the packages part of api.github.com.
func GitHub() (*API, error) {
	const version = "/packages/{package_type}/{package_name}/versions/{package_version_id}"
	const packages = "/packages/{package_type}/{package_name}"
	a := &API{
		undescribed: map[string][]string{"/users/{username}/packages/{package_type}/{package_name}/versions": {"page", "per_page", "state"}},
		statuses: map[string][]int{
			"DELETE /orgs/{org}" + version:             {http.StatusBadRequest},
			"DELETE /user" + version:                   {http.StatusBadRequest},
			"DELETE /users/{username}" + version:       {http.StatusBadRequest},
			"GET /orgs/{org}" + packages:               {http.StatusNotFound, http.StatusForbidden},
			"GET /user" + packages:                     {http.StatusNotFound, http.StatusForbidden},
			"GET /users/{username}" + packages:         {http.StatusNotFound, http.StatusForbidden},
			"GET /users/{username}":                    {http.StatusUnauthorized, http.StatusForbidden},
			"GET /orgs/{org}" + trimmed(version):       {http.StatusForbidden},
			"GET /user" + trimmed(version):             {http.StatusForbidden},
			"GET /users/{username}" + trimmed(version): {http.StatusForbidden},
		},
	}
	return a.load("github-packages.yaml")
}

func trimmed(version string) string { return strings.TrimSuffix(version, "/{package_version_id}") }

func (a *API) load(files ...string) (*API, error) {
	for _, file := range files {
		text, err := descriptions.ReadFile(file)
		if err != nil {
			return nil, err
		}
		// A repository's name has slashes, which a path parameter has not.
		text = bytes.ReplaceAll(text, []byte("/v2/{name}/manifests"), []byte("/v2/{name:.+}/manifests"))
		doc, err := openapi3.NewLoader().LoadFromData(text)
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", file, err)
		}
		doc.Servers = nil // any host: stand-ins listen on the loopback address
		router, err := gorillamux.NewRouter(doc)
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", file, err)
		}
		a.routers = append(a.routers, router)
	}
	return a, nil
}

// Handler passes requests on to next and reports those, and answers, that the
// description does not allow. Answers of 429 and of 5xx are never reported: every
// API has them. report can be called concurrently.
func (a *API) Handler(next http.Handler, report func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := a.request(r)
		if err != nil {
			report(fmt.Errorf("%s %s: %w", r.Method, r.URL, err))
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		if request != nil {
			if err := a.answer(r.Context(), request, answer); err != nil {
				report(fmt.Errorf("answer %d to %s %s: %w", answer.Code, r.Method, r.URL, err))
			}
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

// request checks r; what it returns is nil when the API has no such operation.
func (a *API) request(r *http.Request) (*openapi3filter.RequestValidationInput, error) {
	var found *openapi3filter.RequestValidationInput
	err := error(routers.ErrPathNotFound)
	for _, router := range a.routers {
		route, params, e := router.FindRoute(r)
		if e != nil {
			if !errors.Is(e, routers.ErrPathNotFound) {
				err = e
			}
			continue
		}
		found = &openapi3filter.RequestValidationInput{
			Request: r, Route: route, PathParams: params,
			Options: &openapi3filter.Options{
				MultiError: true, IncludeResponseStatus: true, SkipSettingDefaults: true, RejectWhenRequestBodyNotSpecified: true,
				AuthenticationFunc: bearer,
			},
		}
	}
	if found == nil {
		return nil, err
	}
	return found, errors.Join(openapi3filter.ValidateRequest(r.Context(), found), a.query(found))
}

// query refuses query parameters that the operation does not have.
func (a *API) query(in *openapi3filter.RequestValidationInput) error {
	known := slices.Clone(a.undescribed[in.Route.Path])
	for _, list := range []openapi3.Parameters{in.Route.PathItem.Parameters, in.Route.Operation.Parameters} {
		for _, p := range list {
			if p.Value.In == openapi3.ParameterInQuery {
				known = append(known, p.Value.Name)
			}
		}
	}
	for name := range in.Request.URL.Query() {
		if !slices.Contains(known, name) {
			return fmt.Errorf("query parameter %q is not described", name)
		}
	}
	return nil
}

func (a *API) answer(ctx context.Context, request *openapi3filter.RequestValidationInput, answer *httptest.ResponseRecorder) error {
	path := request.Route.Path
	if answer.Code == http.StatusTooManyRequests || answer.Code >= http.StatusInternalServerError ||
		slices.Contains(a.statuses[request.Route.Method+" "+path], answer.Code) {
		return nil
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: answer.Code, Header: answer.Header(),
		Body: io.NopCloser(bytes.NewReader(answer.Body.Bytes())), Options: request.Options,
	}
	if request.Request.Method == http.MethodHead || slices.Contains(a.loose, path) {
		options := *request.Options
		options.ExcludeResponseBody = true
		in.Options = &options
	}
	return openapi3filter.ValidateResponse(ctx, in)
}

// bearer wants what "http, bearer" means: an Authorization header with a token.
func bearer(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	token, ok := strings.CutPrefix(in.RequestValidationInput.Request.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return errors.New("no bearer token")
	}
	return nil
}
