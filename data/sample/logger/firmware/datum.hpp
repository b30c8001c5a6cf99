#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace skerry {

/// Millimetres above the zero at which a sensor happens to be mounted.
struct GaugeReading {
    std::int32_t millimetres;
};

/// Millimetres above chart datum: the only height that leaves the firmware.
struct ChartLevel {
    std::int32_t millimetres;
};

class DatumTable {
public:
    void set_offset(const std::string& station, std::int32_t millimetres);
    ChartLevel to_chart(const std::string& station, GaugeReading reading) const;

private:
    std::map<std::string, std::int32_t> offsets_;
};

}  // namespace skerry
