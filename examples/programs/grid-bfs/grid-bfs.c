/*
 * Shortest paths in a grid of free cells and walls.
 *
 * Input: rows, columns and the number of queries; the rows, '.' for free and
 * '#' for wall; for each query the row and column of its start and of its
 * goal, counted from 0.
 * Output: for each query the length of a shortest path, -1 without one, and
 * the number of cells that the search reached.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIDE 2000
#define MAX_QUERIES 1000
#define MAX_WORK 100000000LL /* cells times queries */

struct cell {
    int row;
    int column;
    int steps;
};

struct grid {
    int rows;
    int columns;
    char **cells;
    int **steps; /* of the current search; -1 where it has not been */
};

static const int row_step[4] = {-1, 0, 1, 0};
static const int column_step[4] = {0, 1, 0, -1};

static bool read_number(long long lowest, long long highest, int *number)
{
    long long value;
    if (scanf("%18lld", &value) != 1 || value < lowest || value > highest)
        return false;
    *number = (int)value;
    return true;
}

static int fail(const char *message)
{
    fprintf(stderr, "grid-bfs: %s\n", message);
    return 1;
}

static bool allocate(struct grid *grid)
{
    grid->cells = calloc((size_t)grid->rows, sizeof *grid->cells);
    grid->steps = calloc((size_t)grid->rows, sizeof *grid->steps);
    if (!grid->cells || !grid->steps)
        return false;
    for (int row = 0; row < grid->rows; row++) {
        grid->cells[row] = malloc((size_t)grid->columns + 1);
        grid->steps[row] = malloc((size_t)grid->columns * sizeof(int));
        if (!grid->cells[row] || !grid->steps[row])
            return false;
    }
    return true;
}

static void release(struct grid *grid)
{
    for (int row = 0; row < grid->rows; row++) {
        if (grid->cells)
            free(grid->cells[row]);
        if (grid->steps)
            free(grid->steps[row]);
    }
    free(grid->cells);
    free(grid->steps);
}

static bool read_cells(struct grid *grid)
{
    char line[MAX_SIDE + 2];
    for (int row = 0; row < grid->rows; row++) {
        if (scanf("%2001s", line) != 1 || strlen(line) != (size_t)grid->columns)
            return false;
        if (strspn(line, ".#") != (size_t)grid->columns)
            return false;
        strcpy(grid->cells[row], line);
    }
    return true;
}

static bool is_free(const struct grid *grid, int row, int column)
{
    return row >= 0 && row < grid->rows && column >= 0 && column < grid->columns &&
           grid->cells[row][column] == '.';
}

/* Breadth-first search; the queue has room for every cell. */
static int search(struct grid *grid, struct cell *queue, struct cell start, struct cell goal,
                  int *reached)
{
    int head = 0;
    int tail = 0;

    for (int row = 0; row < grid->rows; row++)
        for (int column = 0; column < grid->columns; column++)
            grid->steps[row][column] = -1;

    if (is_free(grid, start.row, start.column)) {
        grid->steps[start.row][start.column] = 0;
        queue[tail++] = start;
    }
    while (head < tail) {
        struct cell here = queue[head++];
        if (here.row == goal.row && here.column == goal.column)
            break;
        for (int direction = 0; direction < 4; direction++) {
            struct cell next = {here.row + row_step[direction], here.column + column_step[direction],
                                here.steps + 1};
            if (is_free(grid, next.row, next.column) && grid->steps[next.row][next.column] == -1) {
                grid->steps[next.row][next.column] = next.steps;
                queue[tail++] = next;
            }
        }
    }
    *reached = tail;
    return grid->steps[goal.row][goal.column];
}

static int answer(struct grid *grid, struct cell *queue, int queries)
{
    for (int query = 0; query < queries; query++) {
        struct cell start = {0, 0, 0};
        struct cell goal = {0, 0, 0};
        int reached;
        if (!read_number(0, grid->rows - 1, &start.row) ||
            !read_number(0, grid->columns - 1, &start.column) ||
            !read_number(0, grid->rows - 1, &goal.row) ||
            !read_number(0, grid->columns - 1, &goal.column))
            return fail("a query is missing or lies outside the grid");
        int steps = search(grid, queue, start, goal, &reached);
        printf("%d %d\n", steps, reached);
    }
    return 0;
}

int main(void)
{
    struct grid grid = {0, 0, NULL, NULL};
    int queries;
    int status;

    if (!read_number(1, MAX_SIDE, &grid.rows) || !read_number(1, MAX_SIDE, &grid.columns))
        return fail("expected 1 to 2000 rows and columns");
    if (!read_number(0, MAX_QUERIES, &queries))
        return fail("expected 0 to 1000 queries");
    if ((long long)grid.rows * grid.columns * queries > MAX_WORK)
        return fail("too many queries for a grid of this size");

    struct cell *queue = malloc((size_t)grid.rows * (size_t)grid.columns * sizeof *queue);
    if (!queue || !allocate(&grid))
        status = fail("out of memory");
    else if (!read_cells(&grid))
        status = fail("expected rows of '.' and '#', as long as announced");
    else
        status = answer(&grid, queue, queries);

    release(&grid);
    free(queue);
    return status;
}
