/// The words scripts use for ICMP's types and codes (RFC 792, RFC 1122 §3.2.2, RFC 1812 §5.2.7, RFC 4443).
enum ICMPNames {
    /// The types by name: the number in IPv4's ICMP and in ICMPv6, `nil` where it has none.
    static let types: [String: (v4: UInt8?, v6: UInt8?)] = [
        "unreachable": (3, 1), "packet_too_big": (nil, 2), "time_exceeded": (11, 3), "parameter_problem": (12, 4),
        "echo_reply": (0, 129), "echo_request": (8, 128), "source_quench": (4, nil), "redirect": (5, 137),
        "timestamp_request": (13, nil), "timestamp": (13, nil), "timestamp_reply": (14, nil),
        "information_request": (15, nil), "information_reply": (16, nil), "address_mask_request": (17, nil),
        "address_mask_reply": (18, nil),
    ]

    private static let unreachable4 = [
        "net_unreachable", "host_unreachable", "protocol_unreachable", "port_unreachable", "frag_needed",
        "source_route_failed", "net_unknown", "host_unknown", "source_host_isolated", "net_prohibited",
        "host_prohibited", "net_unreachable_for_tos", "host_unreachable_for_tos", "packet_filtered",
        "precedence_violation", "precedence_cutoff",
    ]

    private static let unreachable6 = [
        "no_route", "admin_prohibited", "not_neighbour", "address_unreachable", "port_unreachable",
        "source_address_failed", "reject_route",
    ]

    private static let timeExceeded = ["ttl_exceeded_in_transit", "frag_reass_exceeded"]

    private static let parameterProblem6 = ["header_field", "unknown_next_header", "unknown_option"]

    /// Words of the one protocol that mean the same in the other.
    private static let synonyms = [
        "net_unreachable": "no_route", "host_unreachable": "address_unreachable",
        "packet_filtered": "admin_prohibited", "host_prohibited": "admin_prohibited",
        "net_prohibited": "admin_prohibited", "addr_unreachable": "address_unreachable",
        "communication_prohibited": "admin_prohibited", "source_policy": "source_address_failed",
    ]

    static func isType(_ word: String) -> Bool { types[word] != nil || numbered(word, "type_") != nil }

    static func isCode(_ word: String, of type: String) -> Bool {
        numbered(word, "code_") != nil || code(word, type: type, isIPv4: true) != nil
            || code(word, type: type, isIPv4: false) != nil
    }

    /// The type's number; `nil` when the protocol has no such type.
    static func type(_ word: String, isIPv4: Bool) -> UInt8? {
        if let number = numbered(word, "type_") { return number }
        guard let numbers = types[word] else { return nil }
        return isIPv4 ? numbers.v4 : numbers.v6
    }

    /// The code's number; `nil` when the type has no such code.
    static func code(_ word: String, type: String, isIPv4: Bool) -> UInt8? {
        if let number = numbered(word, "code_") { return number }
        let names: [String]
        switch type {
        case "unreachable": names = isIPv4 ? unreachable4 : unreachable6
        case "time_exceeded": names = timeExceeded
        case "parameter_problem": names = isIPv4 ? [] : parameterProblem6
        default: names = []
        }
        if let index = names.firstIndex(of: word) { return UInt8(index) }
        guard !isIPv4, type == "unreachable", let synonym = synonyms[word] else { return nil }
        return names.firstIndex(of: synonym).map { UInt8($0) }
    }

    private static func numbered(_ word: String, _ prefix: String) -> UInt8? {
        word.hasPrefix(prefix) ? UInt8(word.dropFirst(prefix.count)) : nil
    }
}
