import TCPEngine
import TCPWire

// What must hold of the lists through a stack's records.
extension Stack {
    func auditLists() -> StaticString? {
        let isReadyListRight = isList(ready, .inReadyList) { tables.connections[$0].ready }
        if !isReadyListRight { return "the ready list is broken" }
        if !areTransmitListsRight() { return "a transmit list is broken" }
        let isOrphanListRight = isList(orphans, .inOrphanList) { tables.connections[$0].ready }
        if !isOrphanListRight { return "the list of orphans is broken" }
        let isMemoryListRight = isList(waitingForMemory, .inMemoryList) { tables.connections[$0].waiting }
        if !isMemoryListRight { return "the list of those who wait for memory is broken" }
        let isShareListRight = isList(waitingForShare, .inShareList) { tables.connections[$0].waiting }
        if !isShareListRight { return "the list of those who hold their share is broken" }
        return auditMarks() ?? auditTimeWaits() ?? auditQueues()
    }

    /// The same of the links' lists together.
    private func areTransmitListsRight() -> Bool {
        var marked = 0
        var index = tables.connections.next(from: 0)
        while let slot = index {
            if tables.connections[slot].marks.contains(.inTransmitList) { marked &+= 1 }
            index = tables.connections.next(from: slot &+ 1)
        }
        for link in 0..<interfaceCount {
            var previous = UInt32.max
            var slot = interfaces[link].transmitting.head
            while slot != .max {
                guard marked > 0, tables.connections.contains(slot),
                    tables.connections[slot].marks.contains(.inTransmitList),
                    tables.connections[slot].transmit.previous == previous,
                    interface(of: tables.connections[slot].key) == link
                else { return false }
                marked &-= 1
                (previous, slot) = (slot, tables.connections[slot].transmit.next)
            }
            if interfaces[link].transmitting.tail != previous { return false }
        }
        return marked == 0
    }

    /// Whether a list holds, in both directions, the connections that are marked so, and no other.
    private func isList(_ ends: ListEnds, _ mark: ConnectionRecord.Marks, _ links: (UInt32) -> ListLinks) -> Bool {
        var marked = 0
        var index = tables.connections.next(from: 0)
        while let slot = index {
            if tables.connections[slot].marks.contains(mark) { marked &+= 1 }
            index = tables.connections.next(from: slot &+ 1)
        }
        var previous = UInt32.max
        var slot = ends.head
        while slot != .max {
            guard marked > 0, tables.connections.contains(slot), tables.connections[slot].marks.contains(mark),
                links(slot).previous == previous
            else { return false }
            marked &-= 1
            (previous, slot) = (slot, links(slot).next)
        }
        return marked == 0 && ends.tail == previous
    }

    /// Whoever waits for something will be told of it.
    private func auditMarks() -> StaticString? {
        var slot = tables.connections.next(from: 0)
        while let index = slot {
            let marks = tables.connections[index].marks
            let isReleased = tables.connections[index].connection.isReleased
            if isReleased != marks.contains(.inOrphanList) { return "a released connection is no orphan" }
            if isReleased, marks.contains(.inReadyList) { return "a released connection has events" }
            if tables.connections[index].connection.wantsMemory, !isReleased,
                marks.isDisjoint(with: [.inMemoryList, .inShareList])
            {
                return "a writer waits for memory that nobody will tell it of"
            }
            if marks.contains(.accepted), !tables.connections[index].connection.changes.isEmpty,
                !marks.contains(.inReadyList)
            {
                return "a connection has events that nobody will tell of"
            }
            slot = tables.connections.next(from: index &+ 1)
        }
        return nil
    }

    private func auditTimeWaits() -> StaticString? {
        var counted = 0
        var last: Instant?
        var slot = timeWaits.oldest
        while let index = slot {
            guard counted < timeWaits.count, tables.entries.contains(index),
                tables.entries[index].info.contains(.timeWait), let due = wheel.due(tables.entries[index].timer)
            else { return "the list of TIME-WAIT entries is broken" }
            if let last, due < last { return "the TIME-WAIT entries are not in the order of their ends" }
            last = due
            counted &+= 1
            let next = tables.entries[index].timer.next
            slot = next == .max ? nil : next
        }
        if counted != timeWaits.count || counted &+ halfOpenCount != tables.entries.count {
            return "TIME-WAIT entries are miscounted"
        }
        var pending = 0
        for listener in listeners { pending &+= listener.fastOpen.count }
        if sources.total != 2 &* (halfOpenCount &+ pending) { return "the sources of half-open entries are miscounted" }
        return nil
    }

    private func auditQueues() -> StaticString? {
        for listener in listeners {
            for index in 0..<listener.queue.count {
                let waiting = listener.queue[index]
                guard tables.connections.contains(waiting), !tables.connections[waiting].marks.contains(.accepted)
                else { return "a listener's queue holds what is not waiting" }
            }
            if listener.isOpen, listener.waiting > 0, !listener.isReported {
                return "a connection waits for accept, and nobody was told"
            }
        }
        return nil
    }
}
