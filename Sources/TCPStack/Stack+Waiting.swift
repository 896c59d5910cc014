import TCPEngine
import TCPWire

// Lists through the records: connections without a program, and writers that wait for memory.
extension Stack {
    // MARK: Connections without a program

    /// Puts a connection that was just released behind the others that were. Its place in the list of those with events is
    /// free: nobody takes its events.
    mutating func becomeOrphan(_ slot: UInt32) {
        if tables.connections[slot].marks.contains(.inReadyList) { removeFromReady(slot) }
        stopWaiting(slot)
        tables.connections[slot].marks.insert(.inOrphanList)
        tables.connections[slot].ready = ListLinks(previous: orphans.tail)
        if orphans.tail == .max { orphans.head = slot } else { tables.connections[orphans.tail].ready.next = slot }
        orphans.tail = slot
    }

    mutating func removeFromOrphans(_ slot: UInt32) {
        let links = tables.connections[slot].ready
        if links.previous == .max {
            orphans.head = links.next
        } else {
            tables.connections[links.previous].ready.next = links.next
        }
        if links.next == .max {
            orphans.tail = links.previous
        } else {
            tables.connections[links.next].ready.previous = links.previous
        }
        tables.connections[slot].marks.remove(.inOrphanList)
    }

    // MARK: Writers that wait

    /// Whether a writer that waits would be let write now.
    var hasMemoryForWriters: Bool {
        !waitingForMemory.isEmpty && context.pool.hasRoom(context.budget)
            || !waitingForShare.isEmpty && context.hasMoreToShare
    }

    /// Puts a connection whose write was cut short behind the others: behind those that found no memory, or, if it holds its
    /// share of what is scarce, behind those that wait until it is not.
    mutating func waitForMemory(_ slot: UInt32) {
        let hasShare = tables.connections[slot].connection.room(context) == 0
        let mark = hasShare ? ConnectionRecord.Marks.inShareList : .inMemoryList
        guard !tables.connections[slot].marks.contains(mark) else { return }
        stopWaiting(slot)
        tables.connections[slot].marks.insert(mark)
        let tail = hasShare ? waitingForShare.tail : waitingForMemory.tail
        tables.connections[slot].waiting = ListLinks(previous: tail)
        if tail != .max { tables.connections[tail].waiting.next = slot }
        if hasShare { waitingForShare.add(slot) } else { waitingForMemory.add(slot) }
    }

    /// Takes a connection out of the lists of those that wait.
    mutating func stopWaiting(_ slot: UInt32) {
        let marks = tables.connections[slot].marks
        guard !marks.isDisjoint(with: [.inMemoryList, .inShareList]) else { return }
        let links = tables.connections[slot].waiting
        if links.previous != .max { tables.connections[links.previous].waiting.next = links.next }
        if links.next != .max { tables.connections[links.next].waiting.previous = links.previous }
        if marks.contains(.inShareList) {
            waitingForShare.remove(links)
        } else {
            waitingForMemory.remove(links)
        }
        tables.connections[slot].marks.subtract([.inMemoryList, .inShareList])
    }

    /// Tells the writer that has waited longest of memory, if there is some: one a call, so that they do not all run for what
    /// one can have.
    mutating func wakeWriter() {
        while hasMemoryForWriters {
            let slot =
                !waitingForMemory.isEmpty && context.pool.hasRoom(context.budget)
                ? waitingForMemory.head : waitingForShare.head
            stopWaiting(slot)
            tables.connections[slot].connection.memoryReturned()
            guard !tables.connections[slot].connection.changes.isEmpty else { continue }
            makeReady(slot)
            return
        }
    }
}

extension ListEnds {
    /// Notes that `slot` was linked behind the last.
    fileprivate mutating func add(_ slot: UInt32) {
        if isEmpty { head = slot }
        tail = slot
    }

    /// Notes that what had these links was taken out.
    fileprivate mutating func remove(_ links: ListLinks) {
        if links.previous == .max { head = links.next }
        if links.next == .max { tail = links.previous }
    }
}
