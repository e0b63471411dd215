/* One batch of commands by libiscsi's synchronous interface: prints how long each took, in nanoseconds.
 *
 *   libiscsi URL INITIATOR-NAME tur|read4k WARM-UP COUNT
 *
 * Built and started by the bench beside it. Digests are off, as on our side. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static struct scsi_task *command(struct iscsi_context *session, int lun, int is_read)
{
    if (is_read)
        return iscsi_read10_sync(session, lun, 0, 4096, 512, 0, 0, 0, 0, 0);
    return iscsi_testunitready_sync(session, lun);
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    int is_read = strcmp(argv[3], "read4k") == 0;
    int warm_up = atoi(argv[4]), count = atoi(argv[5]);
    uint64_t *took = calloc((size_t)count, sizeof *took);
    struct iscsi_context *session = iscsi_create_context(argv[2]);
    if (!took || !session)
        return 1;
    struct iscsi_url *url = iscsi_parse_full_url(session, argv[1]);
    if (!url) {
        fprintf(stderr, "%s\n", iscsi_get_error(session));
        return 1;
    }
    iscsi_set_session_type(session, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(session, ISCSI_HEADER_DIGEST_NONE);
    iscsi_set_noautoreconnect(session, 1);
    /* The connect takes the attentions away that a new nexus meets. */
    if (iscsi_full_connect_sync(session, url->portal, url->lun) != 0) {
        fprintf(stderr, "%s\n", iscsi_get_error(session));
        return 1;
    }
    for (int number = -warm_up; number < count; number++) {
        uint64_t began = now_ns();
        struct scsi_task *task = command(session, url->lun, is_read);
        uint64_t ended = now_ns();
        if (!task || task->status != SCSI_STATUS_GOOD) {
            fprintf(stderr, "command %d: %s\n", number, iscsi_get_error(session));
            return 1;
        }
        if (is_read && task->datain.size != 4096) {
            fprintf(stderr, "command %d: %d bytes\n", number, task->datain.size);
            return 1;
        }
        scsi_free_scsi_task(task);
        if (number >= 0)
            took[number] = ended - began;
    }
    for (int number = 0; number < count; number++)
        printf("%" PRIu64 "\n", took[number]);
    iscsi_logout_sync(session);
    iscsi_destroy_url(url);
    iscsi_destroy_context(session);
    free(took);
    return 0;
}
