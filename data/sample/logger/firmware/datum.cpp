#include "datum.hpp"

#include <stdexcept>

namespace skerry {

void DatumTable::set_offset(const std::string& station, std::int32_t millimetres) {
    offsets_[station] = millimetres;
}

// A station without an offset is an error, not a zero: a wrong datum looks exactly like a right one.
ChartLevel DatumTable::to_chart(const std::string& station, GaugeReading reading) const {
    const auto found = offsets_.find(station);
    if (found == offsets_.end()) {
        throw std::out_of_range("no datum offset for station " + station);
    }
    return ChartLevel{reading.millimetres + found->second};
}

}  // namespace skerry
