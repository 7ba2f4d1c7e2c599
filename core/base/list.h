/* list.h -- an intrusive doubly linked list with a head that is itself a link.
 *
 * A link is in at most one list; list_init() makes a head or an unlinked link.  Removing a
 * link that is in no list is fine and does nothing. */
#ifndef CORE_BASE_LIST_H
#define CORE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_push(struct list *head, struct list *l) /* at the end */
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

static inline void list_remove(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from)) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define LIST_FIRST(head, type, member) CONTAINER_OF((head)->next, type, member)

#define LIST_EACH(at, head) \
    for (struct list *at = (head)->next; at != (head); at = at->next)

/* The body may remove (and free) the element at `at`. */
#define LIST_EACH_SAFE(at, after, head)                                          \
    for (struct list *at = (head)->next, *after = at->next; at != (head);        \
         at = after, after = at->next)

#endif
