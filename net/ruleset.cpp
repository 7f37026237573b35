#include "net/ruleset.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/netlink.h"

namespace vz::net {

namespace {

// Handles, positions and use counts are the kernel's; everything else is kept.
const Kind kPartKinds[] = {
    {"nftables table", sizeof(nfgenmsg), {NFTA_TABLE_NAME, NFTA_TABLE_FLAGS, NFTA_TABLE_USERDATA}},
    {"nftables chain",
     sizeof(nfgenmsg),
     {NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE, NFTA_CHAIN_COUNTERS,
      NFTA_CHAIN_FLAGS, NFTA_CHAIN_USERDATA}},
    {"nftables object",
     sizeof(nfgenmsg),
     {NFTA_OBJ_TABLE, NFTA_OBJ_NAME, NFTA_OBJ_TYPE, NFTA_OBJ_DATA, NFTA_OBJ_USERDATA}},
    {"nftables flowtable",
     sizeof(nfgenmsg),
     {NFTA_FLOWTABLE_TABLE, NFTA_FLOWTABLE_NAME, NFTA_FLOWTABLE_HOOK, NFTA_FLOWTABLE_FLAGS}},
    {"nftables set",
     sizeof(nfgenmsg),
     {NFTA_SET_TABLE, NFTA_SET_NAME, NFTA_SET_FLAGS, NFTA_SET_KEY_TYPE, NFTA_SET_KEY_LEN, NFTA_SET_DATA_TYPE,
      NFTA_SET_DATA_LEN, NFTA_SET_POLICY, NFTA_SET_DESC, NFTA_SET_TIMEOUT, NFTA_SET_GC_INTERVAL, NFTA_SET_USERDATA,
      NFTA_SET_OBJ_TYPE, NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS}},
    {"elements of an nftables set",
     sizeof(nfgenmsg),
     {NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_ELEMENTS}},
    {"nftables rule", sizeof(nfgenmsg), {NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_USERDATA}},
};

struct PartVerbs {
  int get, add;
};
constexpr PartVerbs kPartVerbs[] = {{NFT_MSG_GETTABLE, NFT_MSG_NEWTABLE}, {NFT_MSG_GETCHAIN, NFT_MSG_NEWCHAIN},
                                    {NFT_MSG_GETOBJ, NFT_MSG_NEWOBJ},     {NFT_MSG_GETFLOWTABLE, NFT_MSG_NEWFLOWTABLE},
                                    {NFT_MSG_GETSET, NFT_MSG_NEWSET},     {NFT_MSG_GETSETELEM, NFT_MSG_NEWSETELEM},
                                    {NFT_MSG_GETRULE, NFT_MSG_NEWRULE}};

int type_of(int verb) { return NFNL_SUBSYS_NFTABLES << 8 | verb; }

// nftables speaks network order.
uint32_t be32_at(const Attributes& a, int type) { return ntohl(a.u32(type)); }

std::string text_of(const Record& r, uint16_t type) {
  const std::string* data = r.find(type);
  return data ? data->substr(0, data->find('\0')) : std::string();
}

// Tables that CRIU holds the network with while it dumps or restores; all other parts name their table in attribute 1.
bool is_foreign(const Record& r) { return text_of(r, NFTA_TABLE_NAME).starts_with("CRIU"); }
static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_OBJ_TABLE == 1 && NFTA_FLOWTABLE_TABLE == 1 &&
              NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_RULE_TABLE == 1);

Result<std::vector<Record>> list_unfiltered(Netlink& socket, RulesetPart part, const Message& request) {
  auto objects = socket.dump(request);
  if (!objects) return std::move(objects.error()).context(std::string("read the ") + ruleset_kind(part).name);
  std::vector<Record> out;
  for (const std::string& o : *objects) {
    TRY_AS(Record r, parse_record(ruleset_kind(part), o));
    auto header = r.as<nfgenmsg>();
    header.res_id = 0;  // the ruleset's generation
    r.put(header);
    out.push_back(std::move(r));
  }
  return out;
}

Result<std::vector<Record>> list(Netlink& socket, RulesetPart part, const Message& request) {
  TRY_AS(std::vector<Record> all, list_unfiltered(socket, part, request));
  std::erase_if(all, is_foreign);
  return all;
}

Message list_request(RulesetPart part) {
  const nfgenmsg any{AF_UNSPEC, NFNETLINK_V0, 0};
  return Message(type_of(kPartVerbs[static_cast<size_t>(part)].get), 0, any);
}

Result<std::vector<Record>> list_all(Netlink& socket, RulesetPart part) {
  return list(socket, part, list_request(part));
}

Message delete_request(const Record& table) {
  Message gone(type_of(NFT_MSG_DELTABLE), 0, table.header, 512);
  return std::move(gone.put_text(NFTA_TABLE_NAME, text_of(table, NFTA_TABLE_NAME)));
}

std::string keys_of(const std::vector<Record>& elements) {
  std::string keys;
  for (const Record& r : elements)
    if (const std::string* list = r.find(NFTA_SET_ELEM_LIST_ELEMENTS))
      for (const std::string_view e : Attributes(*list).all(NFTA_LIST_ELEM))
        keys += Attributes(e).bytes(NFTA_SET_ELEM_KEY);
  return keys;
}

// A hash table that grows is walked past some of its elements where an answer of several messages goes on, and nothing
// says so: the kernel counts changes of the ruleset, not those of a table's size. What two readings agree on is whole.
Result<std::vector<Record>> list_elements(Netlink& socket, const Record& set) {
  constexpr int kMostReadings = 10;  // a set that packets change never settles; it is taken as it is
  Message m(type_of(NFT_MSG_GETSETELEM), 0, set.header, 4096);
  m.put_text(NFTA_SET_ELEM_LIST_TABLE, text_of(set, NFTA_SET_TABLE));
  m.put_text(NFTA_SET_ELEM_LIST_SET, text_of(set, NFTA_SET_NAME));
  std::vector<Record> elements;
  std::string keys, last;
  for (int readings = 0; readings < kMostReadings; ++readings) {
    TRY_AS(elements, list(socket, RulesetPart::elements, m));
    if (elements.size() < 2 || (keys = keys_of(elements)) == last) break;
    last = std::move(keys);
  }
  return elements;
}

Message add_request(RulesetPart part, const Record& r, int flags, size_t more_room = 0) {
  return record_message(type_of(kPartVerbs[static_cast<size_t>(part)].add), NLM_F_CREATE | flags, r, more_room);
}

// A table that goes away with the process that made it would do so when this socket is closed.
Record without_owner(Record table) {
  constexpr uint32_t kDormant = 1;
  const std::string* flags = table.find(NFTA_TABLE_FLAGS);
  if (!flags) return table;
  table.set(NFTA_TABLE_FLAGS, be32(ntohl(table.u32(NFTA_TABLE_FLAGS)) & kDormant));
  return table;
}

std::vector<std::string> bound_chains(const std::vector<Record>& chains) {
  std::vector<std::string> names;
  for (const Record& c : chains)
    if (ntohl(c.u32(NFTA_CHAIN_FLAGS)) & NFT_CHAIN_BINDING) names.push_back(text_of(c, NFTA_CHAIN_NAME));
  return names;
}

// The kernel tells a "dynset" expression's timeout of 0, and refuses it for a set without timeouts.
Result<std::string> without_zero_timeouts(const std::string& list) {
  if (list.find("dynset") == std::string::npos) return list;
  TRY_AS(Record elements, parse_nested(list));
  for (Record::Attribute& element : elements.attributes) {
    TRY_AS(Record expression, parse_nested(element.data));
    const std::string* data = expression.find(NFTA_EXPR_DATA);
    if (!data || text_of(expression, NFTA_EXPR_NAME) != "dynset") continue;
    TRY_AS(Record settings, parse_nested(*data));
    const std::string* timeout = settings.find(NFTA_DYNSET_TIMEOUT);
    if (timeout && timeout->find_first_not_of('\0') == std::string::npos) settings.erase(NFTA_DYNSET_TIMEOUT);
    expression.set(NFTA_EXPR_DATA, record_bytes(settings));
    element.data = record_bytes(expression);
  }
  return record_bytes(elements);
}

Result<Message> rule_request(Record rule) {
  if (const std::string* expressions = rule.find(NFTA_RULE_EXPRESSIONS)) {
    TRY_AS(std::string changed, without_zero_timeouts(*expressions));
    rule.set(NFTA_RULE_EXPRESSIONS, std::move(changed));
  }
  Message m = add_request(RulesetPart::rules, rule, NLM_F_APPEND, 64);
  if (const auto compat = compat_protocol(rule))
    m.nest(NFTA_RULE_COMPAT, [&] {
      m.put(NFTA_RULE_COMPAT_PROTO, be32(compat->protocol));
      m.put(NFTA_RULE_COMPAT_FLAGS, be32(compat->inverted ? NFT_RULE_COMPAT_F_INV : 0));
    });
  return m;
}

// The register that EXPRESSION loads the packet's transport protocol into; 0: it does something else.
uint32_t protocol_register(const std::string& name, const Attributes& data) {
  if (name == "meta" && be32_at(data, NFTA_META_KEY) == NFT_META_L4PROTO) return be32_at(data, NFTA_META_DREG);
  constexpr uint32_t kIpv4Protocol = 9;
  if (name == "payload" && be32_at(data, NFTA_PAYLOAD_BASE) == NFT_PAYLOAD_NETWORK_HEADER &&
      be32_at(data, NFTA_PAYLOAD_OFFSET) == kIpv4Protocol && be32_at(data, NFTA_PAYLOAD_LEN) == 1)
    return be32_at(data, NFTA_PAYLOAD_DREG);
  return 0;
}

}  // namespace

const Kind& ruleset_kind(RulesetPart part) { return kPartKinds[static_cast<size_t>(part)]; }

std::optional<CompatProtocol> compat_protocol(const Record& rule) {
  const std::string* list = rule.find(NFTA_RULE_EXPRESSIONS);
  if (!list) return std::nullopt;
  std::optional<CompatProtocol> found;
  bool extension = false;
  uint32_t loaded = 0;
  const Attributes expressions(*list);
  for (const std::string_view e : expressions.all(NFTA_LIST_ELEM)) {
    const Attributes expression(e);
    const std::string name = expression.text(NFTA_EXPR_NAME);
    const Attributes data(expression.bytes(NFTA_EXPR_DATA));
    extension = extension || name == "match" || name == "target";
    if (name == "cmp" && loaded != 0 && !found && be32_at(data, NFTA_CMP_SREG) == loaded) {
      const std::string_view value = Attributes(data.bytes(NFTA_CMP_DATA)).bytes(NFTA_DATA_VALUE);
      if (value.size() == 1)
        found = CompatProtocol{static_cast<uint8_t>(value[0]), be32_at(data, NFTA_CMP_OP) == NFT_CMP_NEQ};
    }
    loaded = protocol_register(name, data);
  }
  return extension ? found : std::nullopt;
}

std::vector<const Record*> loading_order(const std::vector<Record>& rules, std::vector<std::string> bound) {
  std::vector<const Record*> out;
  const auto chain_of = [](const Record& r) { return text_of(r, NFTA_RULE_CHAIN); };
  const auto jumps_to = [&](const std::string& from, const std::string& to) {
    return from != to && std::any_of(rules.begin(), rules.end(), [&](const Record& r) {
             const std::string* expressions = r.find(NFTA_RULE_EXPRESSIONS);
             return chain_of(r) == from && expressions && expressions->find(to + '\0') != std::string::npos;
           });
  };
  const std::vector<std::string> all = bound;
  while (!bound.empty()) {
    const auto leaf = std::find_if(bound.begin(), bound.end(), [&](const std::string& c) {
      return std::none_of(bound.begin(), bound.end(), [&](const std::string& other) { return jumps_to(c, other); });
    });
    if (leaf == bound.end()) break;  // a circle: the kernel will say so
    for (const Record& r : rules)
      if (chain_of(r) == *leaf) out.push_back(&r);
    bound.erase(leaf);
  }
  for (const Record& r : rules) {
    const std::string chain = chain_of(r);
    const bool done = std::find(all.begin(), all.end(), chain) != all.end() &&
                      std::find(bound.begin(), bound.end(), chain) == bound.end();
    if (!done) out.push_back(&r);
  }
  return out;
}

Result<Ruleset> read_ruleset(Netlink& socket) {
  Ruleset all;
  auto tables = list_all(socket, RulesetPart::tables);
  if (!tables && (tables.error().sys_errno == EOPNOTSUPP || tables.error().sys_errno == EINVAL)) return all;
  if (!tables) return std::move(tables.error());
  all[RulesetPart::tables] = std::move(*tables);
  if (all.empty()) return all;
  for (const RulesetPart part :
       {RulesetPart::chains, RulesetPart::objects, RulesetPart::flowtables, RulesetPart::sets, RulesetPart::rules}) {
    auto some = list_all(socket, part);
    if (some)
      all[part] = std::move(*some);
    else if (some.error().sys_errno != EOPNOTSUPP && some.error().sys_errno != EINVAL)
      return std::move(some.error());
  }
  for (const Record& set : all[RulesetPart::sets]) {
    TRY_AS(auto elements, list_elements(socket, set), "set '{}'", text_of(set, NFTA_SET_NAME));
    for (Record& e : elements)
      if (const std::string* list = e.find(NFTA_SET_ELEM_LIST_ELEMENTS); list && !list->empty())
        all[RulesetPart::elements].push_back(std::move(e));
  }
  return all;
}

Result<void> load_ruleset(Netlink& socket, const Ruleset& ruleset) {
  std::vector<Message> batch;
  for (const Record& t : ruleset[RulesetPart::tables]) {
    // Made, removed and made again: the removal then never fails.
    batch.push_back(add_request(RulesetPart::tables, without_owner(t), 0));
    batch.push_back(delete_request(t));
    batch.push_back(add_request(RulesetPart::tables, without_owner(t), 0));
  }
  for (const RulesetPart part : {RulesetPart::chains, RulesetPart::objects, RulesetPart::flowtables})
    for (const Record& r : ruleset[part]) batch.push_back(add_request(part, r, 0));
  uint32_t id = 0;
  for (Record set : ruleset[RulesetPart::sets]) {
    set.set(NFTA_SET_ID, be32(++id));
    batch.push_back(add_request(RulesetPart::sets, set, 0));
  }
  for (const Record& e : ruleset[RulesetPart::elements]) batch.push_back(add_request(RulesetPart::elements, e, 0));
  for (const Record* r : loading_order(ruleset[RulesetPart::rules], bound_chains(ruleset[RulesetPart::chains]))) {
    TRY_AS(Message m, rule_request(*r));
    batch.push_back(std::move(m));
  }
  TRY(socket.batch(batch, NFNL_SUBSYS_NFTABLES), "load the firewall rules");
  return {};
}

Result<void> remove_locks(Netlink& socket) {
  TRY_AS(const auto tables, list_unfiltered(socket, RulesetPart::tables, list_request(RulesetPart::tables)));
  std::vector<Message> batch;
  for (const Record& t : tables)
    if (is_foreign(t)) batch.push_back(delete_request(t));
  return batch.empty() ? Result<void>() : socket.batch(batch, NFNL_SUBSYS_NFTABLES);
}

}  // namespace vz::net
