/*
 * Bodies that attract each other, in double precision.
 *
 * Input: the number of bodies, the number of time steps, the length of a step;
 * for each body its position, velocity (x y z each) and mass.
 * Output: the energy before and after, and each body's position after, with as
 * many digits as do not depend on the order of rounding.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#define MAX_BODIES 64
#define MAX_STEPS 5000000
#define MAX_WORK 60000000LL /* pairs times steps */
#define MAX_VALUE 1000.0
#define SOFTENING 1e-4 /* squared; keeps close encounters finite */

struct body {
    double x, y, z;
    double vx, vy, vz;
    double mass;
};

static bool read_number(long long lowest, long long highest, int *number)
{
    long long value;
    if (scanf("%18lld", &value) != 1 || value < lowest || value > highest)
        return false;
    *number = (int)value;
    return true;
}

static bool read_real(double lowest, double highest, double *number)
{
    return scanf("%lf", number) == 1 && *number >= lowest && *number <= highest;
}

static int fail(const char *message)
{
    fprintf(stderr, "n-body: %s\n", message);
    return 1;
}

static bool read_body(struct body *body)
{
    return read_real(-MAX_VALUE, MAX_VALUE, &body->x) &&
           read_real(-MAX_VALUE, MAX_VALUE, &body->y) &&
           read_real(-MAX_VALUE, MAX_VALUE, &body->z) &&
           read_real(-MAX_VALUE, MAX_VALUE, &body->vx) &&
           read_real(-MAX_VALUE, MAX_VALUE, &body->vy) &&
           read_real(-MAX_VALUE, MAX_VALUE, &body->vz) &&
           read_real(0.0, MAX_VALUE, &body->mass);
}

static double distance_squared(const struct body *a, const struct body *b)
{
    double dx = a->x - b->x;
    double dy = a->y - b->y;
    double dz = a->z - b->z;
    return dx * dx + dy * dy + dz * dz + SOFTENING;
}

static double energy(const struct body *bodies, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        const struct body *a = &bodies[i];
        sum += 0.5 * a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz);
        for (int j = i + 1; j < n; j++)
            sum -= a->mass * bodies[j].mass / sqrt(distance_squared(a, &bodies[j]));
    }
    return sum;
}

static void attract(struct body *a, struct body *b, double dt)
{
    double squared = distance_squared(a, b);
    double pull = dt / (squared * sqrt(squared));
    a->vx -= (a->x - b->x) * b->mass * pull;
    a->vy -= (a->y - b->y) * b->mass * pull;
    a->vz -= (a->z - b->z) * b->mass * pull;
    b->vx += (a->x - b->x) * a->mass * pull;
    b->vy += (a->y - b->y) * a->mass * pull;
    b->vz += (a->z - b->z) * a->mass * pull;
}

static void advance(struct body *bodies, int n, double dt)
{
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++)
            attract(&bodies[i], &bodies[j], dt);
    for (int i = 0; i < n; i++) {
        bodies[i].x += dt * bodies[i].vx;
        bodies[i].y += dt * bodies[i].vy;
        bodies[i].z += dt * bodies[i].vz;
    }
}

/* Prints what would be minus zero as zero. */
static double printable(double value)
{
    return fabs(value) < 0.00005 ? 0.0 : value;
}

int main(void)
{
    static struct body bodies[MAX_BODIES];
    int n;
    int steps;
    double dt;

    if (!read_number(1, MAX_BODIES, &n))
        return fail("expected 1 to 64 bodies");
    if (!read_number(0, MAX_STEPS, &steps))
        return fail("expected 0 to 5000000 steps");
    if (!read_real(1e-9, 1.0, &dt))
        return fail("expected a step from 1e-9 to 1");
    if ((long long)n * n / 2 * steps > MAX_WORK)
        return fail("too many steps for so many bodies");
    for (int i = 0; i < n; i++)
        if (!read_body(&bodies[i]))
            return fail("expected three coordinates, three velocities and a mass, none above 1000");

    printf("energy %.5e\n", energy(bodies, n));
    for (int i = 0; i < steps; i++)
        advance(bodies, n, dt);
    printf("energy %.5e\n", energy(bodies, n));
    for (int i = 0; i < n; i++)
        printf("%.4f %.4f %.4f\n", printable(bodies[i].x), printable(bodies[i].y),
               printable(bodies[i].z));
    return 0;
}
