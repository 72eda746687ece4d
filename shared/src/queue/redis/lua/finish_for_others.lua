-- Follows finish.lua where others wait for the slot.
dispatch()
return answer
