/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The vswitchd authors
 *
 * Methods mac.*: the static MAC table. Control thread.
 */
#include "rpc.h"

#include <base/mac_addr.h>
#include <conf/conf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int read_mac(const json_t *params, struct mac_addr *mac, struct err *err)
{
	const char *text = json_string_value(json_object_get(params, "mac"));

	if (mac_addr_parse(text, mac) < 0)
		return err_set(err, -EINVAL,
			       "'%.64s' is no MAC address; write it as 52:54:00:12:34:56", text);
	return 0;
}

int rpc_mac_list(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	const json_t *skip_param = json_object_get(params, "skip");
	const json_t *max_param = json_object_get(params, "max");
	const size_t skip = (size_t)json_integer_value(skip_param); // 0 when there is none
	const size_t max = max_param ? (size_t)json_integer_value(max_param) : RPC_MACS_DEF;
	struct vsw_mac *entries = calloc(max, sizeof(*entries));
	json_t *macs = json_array();
	size_t n;

	if (!entries || !macs)
		goto out;
	n = vsw_mac_list(vsw, skip, entries, max);
	for (size_t i = 0; i < n; i++) {
		char mac[MAC_ADDR_STRLEN];

		if (json_array_append_new(macs, json_pack("{s:s, s:s}", "mac",
							  mac_addr_format(&entries[i].mac, mac),
							  "port", entries[i].port)) < 0)
			goto out;
	}
	*result = json_pack("{s:I, s:I, s:O}", "total", (json_int_t)vsw_mac_count(vsw), "skip",
			    (json_int_t)skip, "macs", macs);
out:
	json_decref(macs);
	free(entries);
	return *result ? 0 : err_set(err, -ENOMEM, "mac.list: out of memory; ask for fewer");
}

int rpc_mac_add(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	const char *port = json_string_value(json_object_get(params, "port"));
	struct conf_mac entry = {0};
	int ret;

	ret = read_mac(params, &entry.mac, err);
	if (ret < 0)
		return ret;
	ret = conf_mac_check(&entry.mac, err);
	if (ret < 0)
		return ret;
	if (strlen(port) >= sizeof(entry.port))
		return err_set(err, -ENOENT, "port '%.64s': there is no such port; see port.list",
			       port);
	memcpy(entry.port, port, strlen(port) + 1);
	*result = json_object();
	return vsw_mac_add_bulk(vsw, &entry, 1, err);
}

int rpc_mac_del(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	struct mac_addr mac;
	int ret = read_mac(params, &mac, err);

	if (ret < 0)
		return ret;
	*result = json_object();
	return vsw_mac_del(vsw, &mac, err);
}

int rpc_mac_lookup(struct vsw *vsw, const json_t *params, json_t **result, struct err *err)
{
	char port[CONF_NAME_MAX], text[MAC_ADDR_STRLEN];
	struct mac_addr mac;
	int ret = read_mac(params, &mac, err);

	if (ret == 0)
		ret = vsw_mac_lookup(vsw, &mac, port, err);
	if (ret == 0)
		*result = json_pack("{s:s, s:s}", "mac", mac_addr_format(&mac, text), "port", port);
	return ret;
}
