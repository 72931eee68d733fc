// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package apitest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest/apitest"
)

// Each row is a request and an answer; want is a part of the one report, "" for none.
func TestHandler(t *testing.T) {
	t.Parallel()
	const token = "Bearer x"
	repository := `{"user":"org","name":"app","namespace":"org","status":1,"status_description":"active","description":"","is_private":false,` +
		`"is_automated":false,"star_count":0,"pull_count":0,"last_updated":"2026-01-20T10:30:00Z","date_registered":"2026-01-20T10:30:00Z",` +
		`"collaborator_count":0,"has_starred":false,"permissions":{"read":true,"write":false,"admin":false},"media_types":[],"content_types":[],` +
		`"categories":[],"immutable_tags_settings":{"enabled":false,"rules":[]}}`
	for _, test := range []struct {
		api                               func() (*apitest.API, error)
		method, path, authorization, body string
		answer                            http.HandlerFunc
		want                              string
	}{
		{apitest.DockerHub, "POST", "/v2/auth/token", "", `{"identifier":"a","secret":"b"}`, registrytest.Text(200, "application/json", `{"access_token":"x"}`), ""},
		{apitest.DockerHub, "POST", "/v2/auth/token", "", `{"username":"a","password":"b"}`, registrytest.Text(200, "application/json", `{"access_token":"x"}`), `property "identifier" is missing`},
		{apitest.DockerHub, "POST", "/v2/auth/token", "", `{"identifier":"a","secret":"b"}`, registrytest.Text(200, "application/json", `{"access_token":7}`), "answer 200 to POST"},
		{apitest.DockerHub, "GET", "/v2/namespaces/org/repositories/app", "", "", registrytest.Text(200, "application/json", repository), ""},
		{apitest.DockerHub, "GET", "/v2/namespaces/org/repositories/app?page=1", "", "", registrytest.Text(200, "application/json", repository), `"page" is not described`},
		{apitest.DockerHub, "GET", "/v2/namespaces/org/repositories/app", "", "", registrytest.Text(418, "text/plain", ""), "answer 418"},
		{apitest.DockerHub, "GET", "/v2/namespaces/org/repositories/app", "", "", registrytest.Text(429, "text/plain", ""), ""},
		{apitest.DockerHub, "GET", "/v2/repositories/org/app", "", "", registrytest.Text(200, "application/json", repository), "no matching operation"},
		{apitest.DockerHub, "GET", "/v2/namespaces/org/repositories/app/tags/1", "", "", registrytest.Text(404, "application/json", `{}`), "no bearer token"},
		{apitest.DockerHub, "GET", "/v2/namespaces/org/repositories/app/tags/1", token, "", registrytest.Text(404, "application/json", `{}`), ""},
		{apitest.DockerHub, "DELETE", "/v2/repositories/org/app/tags/1/", token, "", registrytest.Text(204, "", ""), ""},
		{apitest.DockerHub, "DELETE", "/v2/repositories/org/app/tags/1/", "JWT x", "", registrytest.Text(204, "", ""), "no bearer token"},
		{apitest.DockerHub, "DELETE", "/v2/repositories/org/app/", token, "", registrytest.Text(204, "", ""), "no matching operation"},
		{apitest.DockerHubRegistry, "HEAD", "/v2/library/alpine/manifests/3", token, "", registrytest.Text(404, "", ""), ""},
		{apitest.DockerHubRegistry, "HEAD", "/v2/library/alpine/tags/list", token, "", registrytest.Text(404, "", ""), "no matching operation"},
		{apitest.GitHub, "GET", "/orgs/o/packages/container/a%2Fb/versions?per_page=100&page=2", token, "", registrytest.Text(200, "application/json", `[]`), ""},
		{apitest.GitHub, "GET", "/orgs/o/packages/container/a/b/versions", token, "", registrytest.Text(200, "application/json", `[]`), "no matching operation"},
		{apitest.GitHub, "GET", "/users/u/packages/container/a/versions?per_page=100&page=2", token, "", registrytest.Text(200, "application/json", `[{}]`), "answer 200"},
		{apitest.GitHub, "GET", "/orgs/o/packages/image/a/versions", token, "", registrytest.Text(404, "application/json", `{}`), "package_type"},
		{apitest.GitHub, "DELETE", "/orgs/o/packages/container/a/versions/7", token, "", registrytest.Text(400, "application/json", `{"message":"last tagged version"}`), ""},
		{apitest.GitHub, "DELETE", "/orgs/o/packages/container/a/versions/latest", token, "", registrytest.Text(404, "application/json", `{}`), "package_version_id"},
	} {
		api, err := test.api()
		if err != nil {
			t.Fatal(err)
		}
		var reports []string
		h := api.Handler(test.answer, func(err error) { reports = append(reports, err.Error()) })
		var body io.Reader
		if test.body != "" {
			body = strings.NewReader(test.body)
		}
		req := httptest.NewRequestWithContext(t.Context(), test.method, test.path, body)
		req.Header.Set("Content-Type", "application/json")
		if test.authorization != "" {
			req.Header.Set("Authorization", test.authorization)
		}
		h.ServeHTTP(httptest.NewRecorder(), req)
		got := strings.Join(reports, "\n")
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s %s: reported %q, want %q", test.method, test.path, got, test.want)
		}
	}
}
