import TCPEngine
import TCPWire

// The groups of this interface, told to the routers and switches that ask (RFC 3810; RFC 4861 §7.2.1 wants solicited-node
// groups told too).
extension EthernetLink {
    /// A group is listened to: told at once, and again, since a report may be lost (RFC 3810 §6.1).
    mutating func join(_ group: IPAddress, _ stack: inout Stack) {
        report(.joins, of: [group], &stack)
        repeatJoins(configuration.listenerReports &- 1)
    }

    /// The groups are told again that many times.
    mutating func repeatJoins(_ count: Int) {
        joinReportsLeft = max(joinReportsLeft, count)
        guard joinReportsLeft > 0, joinReportAt == .distantFuture else { return }
        joinReportAt = now.advanced(byNanoseconds: random(from: 0, to: 1_000_000_000))
        schedule(joinReportAt)
    }

    /// A group is listened to no more.
    mutating func leave(_ group: IPAddress, _ stack: inout Stack) { report(.leaves, of: [group], &stack) }

    /// RFC 3810 §6.2: an answer, some time before the router wants to have it.
    mutating func receiveQuery(_ query: ListenerQuery) {
        if query.isFirstVersion {
            // RFC 3810 §9.12: twice the query interval and some, of a router with the RFC's timing.
            firstVersionUntil = now.advanced(byNanoseconds: 260_000_000_000)
        }
        let isAsked =
            query.group.isUnspecified
            || records.contains { $0.isJoined && $0.prefix.address.solicitedNode == query.group }
        guard isAsked else { return }
        let delay = random(from: 0, to: query.maximumDelay &* 1_000_000)
        queryAnswerAt = min(queryAnswerAt, now.advanced(byNanoseconds: delay))
        schedule(queryAnswerAt)
    }

    mutating func advanceReports(_ stack: inout Stack) {
        if joinReportAt <= now {
            joinReportAt = .distantFuture
            joinReportsLeft &-= 1
            report(.joins, of: groups, &stack)
            repeatJoins(0)
        }
        if queryAnswerAt <= now {
            queryAnswerAt = .distantFuture
            report(.isListening, of: groups, &stack)
        }
        schedule(min(joinReportAt, queryAnswerAt))
    }

    /// The groups that are told of. Nobody is told of that of all nodes (RFC 3810 §6).
    private var groups: [IPAddress] {
        var result: [IPAddress] = []
        for record in records where record.isJoined {
            let group = record.prefix.address.solicitedNode
            if !result.contains(group) { result.append(group) }
        }
        return result
    }

    private mutating func report(_ kind: ListenerReport.Record, of groups: [IPAddress], _ stack: inout Stack) {
        // RFC 3590 §4: without a source while there is none.
        let source = linkLocalAddress ?? .unspecifiedIPv6
        if firstVersionUntil > now {
            for group in groups {
                let leaves = kind == .leaves
                let destination: IPAddress = leaves ? .allRouters : group
                send(
                    frame(to: MACAddress(group: destination), .ipv6, length: ListenerReport.firstVersionLength) {
                        bytes in
                        ListenerReport.writeFirstVersion(
                            of: group, leaves: leaves, from: source, to: &bytes, at: EthernetHeader.length)
                    }, &stack)
            }
            return
        }
        // As many as the least IPv6 packet holds.
        let most = 60
        for start in stride(from: 0, to: groups.count, by: most) {
            let part = Array(groups[start..<min(start &+ most, groups.count)])
            send(
                frame(
                    to: MACAddress(group: .listenerReports), .ipv6, length: ListenerReport.length(count: part.count)
                ) { bytes in
                    ListenerReport.write(kind, of: part, from: source, to: &bytes, at: EthernetHeader.length)
                }, &stack)
        }
    }
}
