/* places.c - reads the environment and cluster.json. Once, at start. */
#include "cli/places.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/util.h"

static char *first_address(const json_t *root, const char *kind)
{
        const json_t *first = json_array_get(json_object_get(root, kind), 0);
        const char *address = json_string_value(json_object_get(first, "address"));

        return address ? xstrdup(address) : NULL;
}

static enum err_code read_cluster(const char *directory, struct places *p, struct err *reterr)
{
        cleanup_(freep) char *path = xasprintf("%s/cluster.json", directory);
        json_error_t why;
        json_t *root = json_load_file(path, 0, &why);

        if (!root)
                return err_set(reterr, ERR_INVALID, "", "%s: %s", path, why.text);
        if (!p->gate)
                p->gate = first_address(root, "gates");
        if (!p->topo)
                p->topo = first_address(root, "topos");
        json_decref(root);
        if (!p->gate && !p->topo)
                return err_set(reterr, ERR_INVALID, "", "%s names neither a gate nor a topo", path);
        return ERR_OK;
}

static char *copy_if_set(const char *s)
{
        return s && *s ? xstrdup(s) : NULL;
}

enum err_code places_find(const char *gate, const char *topo, const char *directory,
                          struct places *ret_places, struct err *reterr)
{
        struct places *p = ret_places;

        *p = (struct places){ .gate = copy_if_set(gate), .topo = copy_if_set(topo) };
        if (directory)
                return read_cluster(directory, p, reterr);
        if (!p->gate)
                p->gate = copy_if_set(getenv("SHOAL_GATE"));
        if (!p->topo)
                p->topo = copy_if_set(getenv("SHOAL_TOPO"));
        if (p->gate || p->topo)
                return ERR_OK;
        directory = getenv("SHOAL_CLUSTER");
        if (directory && *directory)
                return read_cluster(directory, p, reterr);
        if (access(".shoal/cluster.json", R_OK) == 0)
                return read_cluster(".shoal", p, reterr);
        return ERR_OK;
}

void places_done(struct places *p)
{
        free(p->gate);
        free(p->topo);
}
