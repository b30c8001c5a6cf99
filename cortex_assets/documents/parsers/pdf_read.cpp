// Many small questions to the PDF library about one page, asked in one call: boxes of text, and ruled lines.
//
// Nothing is linked: the library's functions come as addresses from pdf_calls.py, with the signatures of PDFium's
// public headers (fpdf_text.h, fpdf_edit.h). What the numbers mean is for pdf_text.py and pdf_rules.py to know.
// Change pdf_read_rules with whatever may change a number or a signature.

#include <cmath>
#include <cstdint>

namespace {

using Box = int (*)(void*, int, double*, double*, double*, double*);

// In the order in which pdf_calls.py names them.
struct Functions {
    int (*count_objects)(void*);
    void* (*object)(void*, int);
    int (*type)(void*);
    int (*bounds)(void*, float*, float*, float*, float*);
    int (*draw_mode)(void*, int*, int*);
    int (*matrix)(void*, float*);
    int (*count_segments)(void*);
    void* (*segment)(void*, int);
    int (*segment_type)(void*);
    int (*segment_point)(void*, float*, float*);
    int (*segment_close)(void*);
};

constexpr int kPath = 2;               // FPDF_PAGEOBJ_PATH
constexpr int kBezier = 1, kMove = 2;  // FPDF_SEGMENT_BEZIERTO, FPDF_SEGMENT_MOVETO
constexpr double kThin = 2.5, kShort = 4.0, kFrameWidth = 20.0, kFrameHeight = 8.0;

// Rules along one axis: three numbers each, the place on the other axis, the start and the end.
struct Rules {
    double* numbers;
    std::int32_t count, room;
    void add(double at, double start, double end) {
        if (count == room) return;
        double* rule = numbers + 3 * count++;
        rule[0] = at, rule[1] = start, rule[2] = end;
    }
};

struct Point {
    double x, y;
};

// Adds a line between two points; false if it goes along no axis.
bool add_line(Point one, Point two, Rules& level, Rules& upright) {
    double across = std::fabs(one.x - two.x), up = std::fabs(one.y - two.y);
    if (up <= 0.5) {
        if (across >= kShort) level.add((one.y + two.y) / 2, std::fmin(one.x, two.x), std::fmax(one.x, two.x));
        return true;
    }
    if (across <= 0.5) {
        if (up >= kShort) upright.add((one.x + two.x) / 2, std::fmin(one.y, two.y), std::fmax(one.y, two.y));
        return true;
    }
    return false;
}

// Adds the segments of a path if all of them go along the axes; returns how many were looked at.
int add_path(const Functions& pdf, void* shape, int budget, Rules& level, Rules& upright) {
    float m[6];
    int count = pdf.count_segments(shape);
    if (count < 2 || count > budget || !pdf.matrix(shape, m)) return 1;
    std::int32_t level_before = level.count, upright_before = upright.count;
    Point here{0, 0}, first{0, 0};
    for (int index = 0; index < count; ++index) {
        void* segment = pdf.segment(shape, index);
        int type = pdf.segment_type(segment);
        float x = 0, y = 0;
        bool fits = type != kBezier && pdf.segment_point(segment, &x, &y);
        if (fits) {
            Point point{double(m[0]) * x + double(m[2]) * y + m[4], double(m[1]) * x + double(m[3]) * y + m[5]};
            if (type == kMove) {
                first = point;
            } else {
                fits = add_line(here, point, level, upright);
            }
            here = point;
        }
        if (!fits || (pdf.segment_close(segment) && !add_line(here, first, level, upright))) {
            level.count = level_before, upright.count = upright_before;
            return index + 1;
        }
    }
    return count;
}

}  // namespace

extern "C" {

std::int32_t pdf_read_rules() { return 1; }

// Four numbers for each index, in the function's order; without indexes for 0 to count - 1.
void pdf_boxes(Box box, void* page, const std::int32_t* indexes, std::int32_t count, double* numbers) {
    for (std::int32_t number = 0; number < count; ++number, numbers += 4) {
        box(page, indexes ? indexes[number] : number, numbers, numbers + 1, numbers + 2, numbers + 3);
    }
}

// Level and upright rules of a page into two arrays with room for so many; how many there are into counts.
void pdf_rules(const Functions* pdf, void* page, std::int32_t most_objects, std::int32_t most_segments,
               std::int32_t room, double* level_numbers, double* upright_numbers, std::int32_t* counts) {
    Rules level{level_numbers, 0, room}, upright{upright_numbers, 0, room};
    int objects = pdf->count_objects(page), budget = most_segments;
    for (int index = 0; index < objects && objects <= most_objects; ++index) {
        void* shape = pdf->object(page, index);
        float left, bottom, right, top;
        if (pdf->type(shape) != kPath || !pdf->bounds(shape, &left, &bottom, &right, &top)) continue;
        double width = double(right) - left, height = double(top) - bottom;
        if (height <= kThin) {
            if (width >= kShort) level.add((double(bottom) + top) / 2, left, right);
        } else if (width <= kThin) {
            if (height >= kShort) upright.add((double(left) + right) / 2, bottom, top);
        } else if (budget > 0 && width >= kFrameWidth && height >= kFrameHeight) {
            int fill = 0, stroke = 0;
            if (pdf->draw_mode(shape, &fill, &stroke) && stroke) budget -= add_path(*pdf, shape, budget, level, upright);
        }
    }
    counts[0] = level.count, counts[1] = upright.count;
}

}  // extern "C"
