#include "core/paxos/run.h"

#include "core/base/check.h"

bool run_step(struct run *r, const struct proposal *p)
{
    const uint64_t slot = r->slot + 1;
    const bool first = p->reign_first == slot;
    const bool follows = r->valid && ballot_cmp(r->reign, p->reign) == 0;

    CHECK(p->reign_first <= slot);
    CHECK((p->batch != NULL) == (p->reign.round > 0));
    *r = (struct run){
        .slot = slot,
        .reign = p->reign,
        .valid = p->batch != NULL && (first || follows),
    };
    return r->valid;
}
