// What vztop(8) shows of its samples: rows with rates, their columns, their order, and lines of a width. Pure.
#pragma once

#include <algorithm>
#include <span>

#include "cli/top/sample.h"

namespace vz::cli::top {

// ---- rows -----------------------------------------------------------------------------------------------------------

using Rate = std::optional<double>;  // nullopt: it was not there before, or has been started anew

struct CtRow {
  CtSample now;
  Rate cpu;                            // percent of one CPU
  Rate read, written, received, sent;  // bytes in a second
};
struct ProcessRow {
  ProcessSample now;
  Rate cpu;
  std::vector<std::string> words;  // its command line; empty: not looked up
};
std::vector<CtRow> rows_of(const CtSamples& now, const CtSamples& before);
std::vector<ProcessRow> rows_of(const ProcessSamples& now, const ProcessSamples& before, double ticks_per_second);

// What deserves a look: near a limit, waiting for a disk; what works; what does not run.
enum class Mood { usual, busy, alarm, idle };
Mood mood_of(const CtRow& row);
Mood mood_of(const ProcessRow& row);

// ---- columns --------------------------------------------------------------------------------------------------------

// Columns of a high rank are the first to go where there is no room; 0 stays, kAside is never in the table.
constexpr int kAside = 100;
struct Shape {
  std::string_view header;
  int width;  // negative: left-aligned, and cut there; numbers are not cut
  int rank;
  bool elastic = false;  // takes the room that is left
};
template <class Row>
struct Column {
  std::string_view name;
  Shape shape;
  bool largest_first;
  std::string (*text)(const Row&);
  Json (*json)(const Row&);
};
std::span<const Column<CtRow>> ct_columns();
std::span<const Column<ProcessRow>> process_columns();

template <class Row>
const Column<Row>* find_column(std::span<const Column<Row>> all, std::string_view name) {
  const auto it = std::find_if(all.begin(), all.end(), [&](const Column<Row>& c) { return c.name == name; });
  return it == all.end() ? nullptr : &*it;
}

template <class Row>
Json json_of(std::span<const Column<Row>> columns, const Row& row) {
  Json out = Json::object();
  for (const Column<Row>& c : columns) out[std::string(c.name)] = c.json(row);
  return out;
}
// A process with its command line, as vzps(8) has it.
Json process_json(const ProcessRow& row);

// ---- order ----------------------------------------------------------------------------------------------------------

// Largest or first in the alphabet first, as the column has it, or REVERSED; what has no value comes last.
template <class Row>
void sort_rows(std::vector<Row>& rows, const Column<Row>& by, bool reversed) {
  std::vector<std::pair<Json, size_t>> keys;
  for (size_t i = 0; i < rows.size(); ++i) keys.emplace_back(by.json(rows[i]), i);
  const bool descending = by.largest_first != reversed;
  std::stable_sort(keys.begin(), keys.end(), [descending](const auto& a, const auto& b) {
    if (a.first.is_null() || b.first.is_null()) return !a.first.is_null() && b.first.is_null();
    return descending ? b.first < a.first : a.first < b.first;
  });
  std::vector<Row> sorted;
  for (const auto& [unused, i] : keys) sorted.push_back(std::move(rows[i]));
  rows.swap(sorted);
}

// ---- lines ----------------------------------------------------------------------------------------------------------

struct Picture {
  std::string header;
  std::vector<std::string> lines;
};
// CELLS: for each row one for each shape. WIDTH 0: as wide as it takes. Printable ASCII, whatever is in the cells.
Picture draw(std::span<const Shape> shapes, const std::vector<std::vector<std::string>>& cells, size_t width);

template <class Row>
Picture draw(std::span<const Column<Row>> columns, std::span<const Row> rows, size_t width) {
  std::vector<Shape> shapes;
  for (const Column<Row>& c : columns)
    if (c.shape.rank != kAside) shapes.push_back(c.shape);
  std::vector<std::vector<std::string>> cells(rows.size());
  for (size_t i = 0; i < rows.size(); ++i)
    for (const Column<Row>& c : columns)
      if (c.shape.rank != kAside) cells[i].push_back(c.text(rows[i]));
  return draw(shapes, cells, width);
}

// The lines above: the host, how many there are of SUBJECT, memory.
std::vector<std::string> summary(const HostSample& now, const HostSample& before, std::string_view clock,
                                 std::string_view subject, size_t width);
Json host_json(const HostSample& now, const HostSample& before);

}  // namespace vz::cli::top
